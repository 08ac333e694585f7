"""Shutdown of the server. What can go wrong meanwhile is in tests/faults/test_stop.py."""

from pathlib import Path

from tests.support.raw_http import connect, read_response
from tests.support.server import run_server


def test_sigterm_stops_the_server_despite_an_open_connection(folder: Path, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with run_server(folder, DATABASE_URL=url) as server, connect(server.url) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(idle).status == 200
        server.process.terminate()
        assert server.process.wait(timeout=8) == 0
    assert "Traceback" not in server.log
