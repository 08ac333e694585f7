"""GET /metrics of several workers: every worker returns what all of them have counted."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.contract_checks import CONTRACT, open_client
from tests.support.metrics_text import read_metric, read_samples
from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET

REQUESTS = 40
DURATIONS = "todo_request_duration_seconds"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the database and of temporary files."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def server(folder: Path, home: Path) -> Iterator[Server]:
    """A server with two workers."""
    settings = {"DATABASE_URL": f"sqlite:///{home / 'todo.db'}", "BETTER_AUTH_SECRET": SECRET}
    settings |= {"TMPDIR": str(home), "WORKERS": "2"}
    with run_server(folder, **settings) as server:
        assert eventually(lambda: server.log.count("Application startup complete") == 2, within_s=60)
        yield server


@contextmanager
def connect(server: Server) -> Iterator[httpx.Client]:
    """Open a new connection, which either worker may accept."""
    with open_client(server.url) as http:
        yield http


def read(server: Server, name: str, **labels: str) -> float:
    with connect(server) as http:
        return read_metric(http, name, **labels)


def read_pids(server: Server) -> set[str]:
    with connect(server) as http:
        return {s.labels["pid"] for s in read_samples(http) if s.name == "todo_build_info"}


def test_every_worker_returns_the_sum_of_all_workers(server: Server):
    name, labels = "todo_requests_total", {"operation": "service.ready", "method": "GET", "status": "200"}
    expected = read(server, name, **labels) + REQUESTS
    for _ in range(REQUESTS):
        with connect(server) as http:
            assert http.get("/health/ready").status_code == 200
    assert eventually(lambda: read(server, name, **labels) == expected, within_s=5)
    assert {read(server, name, **labels) for _ in range(10)} == {expected}
    assert read(server, f"{DURATIONS}_count", operation="service.ready") == expected
    assert read(server, f"{DURATIONS}_bucket", operation="service.ready", le="+Inf") == expected


def test_every_process_has_its_own_metrics_and_every_worker_a_version(server: Server):
    with connect(server) as http:
        found = read_samples(http)
    builds = [sample.labels for sample in found if sample.name == "todo_build_info"]
    assert {build["version"] for build in builds} == {CONTRACT["info"]["version"]}
    pids = {build["pid"] for build in builds}
    assert len(pids) == 2
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        values = {sample.labels["pid"]: sample.value for sample in found if sample.name == name}
        assert values.keys() == pids | {str(server.process.pid)}
        assert all(value > 0 for value in values.values())


def test_counts_of_a_killed_worker_stay_and_its_process_metrics_are_removed(server: Server, home: Path):
    before, killed = read(server, "todo_requests_total"), min(read_pids(server))
    os.kill(int(killed), signal.SIGKILL)
    assert eventually(lambda: is_replaced(server, killed), within_s=20)
    assert read(server, "todo_requests_total") >= before
    with connect(server) as http:
        assert killed not in {sample.labels.get("pid") for sample in read_samples(http)}
    assert [*home.glob(f"todo-metrics-*/gauge_live*_{killed}.db")] == []


def is_replaced(server: Server, killed: str) -> bool:
    try:
        running = read_pids(server)
    except httpx.TransportError:  # its connections died with it
        return False
    return len(running) == 2 and killed not in running


# The last test that uses `server`: it stops it.
def test_folder_of_the_metrics_is_removed_at_shutdown(server: Server, home: Path):
    assert len([*home.glob("todo-metrics-*")]) == 1
    server.stop()
    assert [*home.glob("todo-metrics-*")] == []
