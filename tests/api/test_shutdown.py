"""Shutdown of the server by a signal. What can go wrong meanwhile is in tests/faults/test_stop.py."""

import signal
from pathlib import Path

import pytest

from tests.support.raw_http import connect, read_response
from tests.support.server import run_server


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal_stops_the_server_although_a_client_keeps_its_connection(
    folder: Path, tmp_path: Path, number: signal.Signals, status: int
):
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with run_server(folder, DATABASE_URL=url) as server, connect(server.url) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(idle).status == 200
        server.process.send_signal(number)
        assert server.process.wait(timeout=8) == status
    assert "Traceback" not in server.log
