"""SIGTERM before the server serves, also to process 1 of a container, which ignores it by default."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import leave_out, needed
from tests.support.server import COMMAND, Server, eventually, find_free_port, start_server

ENDS_WITHIN_S = 8
AS_PROCESS_1 = ("--map-root-user", "--pid", "--fork", "--kill-child")


@pytest.fixture
def process_1(tmp_path: Path) -> Iterator[Server]:
    """A server as process 1 of a PID namespace that waits for the content of .env, a named pipe."""
    unshare = needed("unshare", package="util-linux")
    if subprocess.run((unshare, *AS_PROCESS_1, "true"), capture_output=True, check=False).returncode:
        leave_out("this system does not permit a PID namespace")
    os.mkfifo(tmp_path / ".env")
    server = start_server(tmp_path, (unshare, *AS_PROCESS_1, *COMMAND))
    yield server
    server.kill()


def is_read(pipe: Path) -> bool:
    """Whether a process reads the pipe. It goes on to wait, because the writing end stays open."""
    try:
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    return True


def test_process_1_ends_on_sigterm_while_it_reads_its_settings(process_1: Server, tmp_path: Path):
    assert eventually(lambda: is_read(tmp_path / ".env"), within_s=30), process_1.log
    unshare = process_1.process.pid
    child = Path(f"/proc/{unshare}/task/{unshare}/children").read_text()
    os.kill(int(child), signal.SIGTERM)
    assert process_1.process.wait(timeout=ENDS_WITHIN_S) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("workers", "status"), [("1", 128 + signal.SIGTERM), ("2", 0)])
def test_sigterm_does_not_wait_for_the_end_of_the_startup(folder: Path, workers: str, status: int):
    away = f"postgresql://ada@127.0.0.1:{find_free_port()}/todo"  # the startup waits 5 s for it
    server = start_server(folder, DATABASE_URL=away, WORKERS=workers)
    try:
        waiting = "Waiting for application startup"
        assert eventually(lambda: server.log.count(waiting) == int(workers), within_s=30), server.log
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=ENDS_WITHIN_S) == status
        assert "Application startup complete" not in server.log
    finally:
        server.kill()
