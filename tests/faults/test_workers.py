"""Worker processes that are slow to start, die, or do not react, and their supervisor."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, eventually, start_server, wait_until_live
from tests.support.users import SECRET

ENDS_WITHIN_S = 8
KILLED_AFTER_S = 5  # by uvicorn's own supervisor

Start = Callable[[], AbstractContextManager[Server]]


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Start:
    """Start a server with two workers and return at once."""

    @contextmanager
    def start() -> Iterator[Server]:
        settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "BETTER_AUTH_SECRET": SECRET}
        server = start_server(folder, WORKERS="2", **settings)
        try:
            yield server
        finally:
            workers = find_workers(server)
            server.kill()
            for worker in workers:  # a stopped one does not end with its supervisor
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)

    return start


def find_workers(server: Server) -> list[int]:
    """Return the ids of the worker processes, oldest first."""
    pid = server.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # the supervisor has ended
        return []
    return sorted(int(child) for child in children if b"spawn_main" in read_command(child))


def read_command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def wait_for_workers(server: Server) -> list[int]:
    assert eventually(lambda: len(find_workers(server)) == 2, within_s=30), server.log
    return find_workers(server)


def read_deaths(server: Server) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in server.log.splitlines()]
    return [record for record in records if record["event"] == "a worker process died"]


def stop(server: Server) -> float:
    """Send SIGTERM, and return the seconds until the supervisor has ended with status 0."""
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=ENDS_WITHIN_S) == 0
    return time.monotonic() - began


def test_slow_worker_is_not_killed_before_its_first_response(start: Start):
    with start() as server:
        workers = wait_for_workers(server)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        assert not eventually(lambda: find_workers(server) != workers, within_s=KILLED_AFTER_S + 3)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        wait_until_live(server, path="/health/ready")
        assert find_workers(server) == workers
        stop(server)


def test_worker_that_stops_responding_is_replaced(start: Start):
    with start() as server:
        wait_until_serving(server)
        stopped = find_workers(server)[0]
        os.kill(stopped, signal.SIGSTOP)
        assert eventually(lambda: bool(read_deaths(server)), within_s=30)
        [death] = read_deaths(server)
        assert (death["worker_pid"], death["exit_code"]) == (stopped, -signal.SIGKILL)
        stop(server)


def wait_until_serving(server: Server) -> None:
    assert eventually(lambda: server.log.count("Application startup complete") == 2, within_s=60)


def test_each_death_is_logged_and_the_next_start_is_later_each_time_without_delaying_sigterm(start: Start):
    with start() as server:
        killed = []
        for _ in range(4):
            killed.append(wait_for_workers(server)[-1])
            os.kill(killed[-1], signal.SIGKILL)
            assert eventually(lambda: len(read_deaths(server)) == len(killed), within_s=10)
        deaths = read_deaths(server)
        assert [death["worker_pid"] for death in deaths] == killed
        assert [death["restart_in_s"] for death in deaths] == [0, 1, 2, 4]
        assert {(death["level"], death["exit_code"]) for death in deaths} == {("warning", -signal.SIGKILL)}
        assert stop(server) < deaths[-1]["restart_in_s"]


def test_supervisor_ends_although_a_worker_does_not_react_to_sigterm(start: Start):
    with start() as server:
        wait_until_serving(server)
        os.kill(find_workers(server)[0], signal.SIGSTOP)
        stop(server)
