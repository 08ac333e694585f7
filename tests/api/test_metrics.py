"""GET /metrics: what every worker counts, without anything that a client sent."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import CONTRACT, open_client, operations
from tests.support.databases import on_sqlite
from tests.support.metrics_text import read_metric, read_samples
from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET, new_user

CANARY = "c4n4ry"
REQUESTS = 40
WRITES = 12  # at once: more than there are connections to PostgreSQL
CONNECTIONS = 10
DURATIONS = "todo_request_duration_seconds"
ALLOWED_VALUES = {
    "operation": {"none", *(operation.id for operation in operations())},
    "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"},
    "limit": {"api", "login", "signup"},
    "outcome": {"success", "failure"},
}
OTHER_LABELS = {"status", "le", "version", "pid"}
LABELS_OF_PYTHON = {"generation", "implementation", "major", "minor", "patchlevel"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the database and of temporary files."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def server(folder: Path, home: Path) -> Iterator[Server]:
    """Two workers with a limit, which each counts for itself."""
    settings = {"DATABASE_URL": f"sqlite:///{home / 'todo.db'}", "BETTER_AUTH_SECRET": SECRET}
    settings |= {"TMPDIR": str(home), "WORKERS": "2", "RATE_LIMIT": "on", "RATE_LIMIT_API": "3/hour"}
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


def test_requests_over_a_limit_are_counted_by_limit(server: Server):
    refusals = "todo_rate_limit_refusals_total"
    before = read(server, refusals, limit="api")
    with connect(server) as http:
        ada = new_user(http)
        assert [ada.get().status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert read(server, refusals, limit="api") == before + 2
    assert read(server, refusals, limit="login") == 0
    assert read(server, "todo_rate_limit_storage_away") == 0


def test_every_worker_has_its_own_process_metrics_and_version(server: Server):
    with connect(server) as http:
        found = read_samples(http)
    builds = [sample.labels for sample in found if sample.name == "todo_build_info"]
    assert {build["version"] for build in builds} == {CONTRACT["info"]["version"]}
    pids = {build["pid"] for build in builds}
    assert len(pids) == 2
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        values = {sample.labels["pid"]: sample.value for sample in found if sample.name == name}
        assert values.keys() == pids
        assert all(value > 0 for value in values.values())


def test_nothing_that_was_sent_is_in_the_metrics_and_labels_are_bounded(server: Server):
    with connect(server) as http:
        ada = new_user(http, CANARY)
        headers = {"X-Canary": CANARY, "User-Agent": CANARY, "traceparent": CANARY, "X-Request-Id": CANARY}
        for method, path in [
            ("GET", ada.tasks), ("GET", f"/api/{CANARY}"), ("PURGE", ada.tasks), ("PROPFIND", f"/{CANARY}"),
            ("POST", f"{ada.tasks}/{CANARY}"), ("GET", f"/health/live?{CANARY}"), ("PUT", "/health/live"),
        ]:  # fmt: skip
            http.request(method, path, headers=headers | ada.headers, content=CANARY)
        http.post("/api/auth/login", json={"email": f"{CANARY}@example.com", "password": CANARY})
        assert eventually(lambda: read_metric(http, "todo_requests_total", method="other") >= 5, within_s=5)
        assert CANARY not in http.get("/metrics").text.lower()
        for sample in read_samples(http):
            assert sample.labels.keys() <= {*ALLOWED_VALUES, *OTHER_LABELS, *LABELS_OF_PYTHON}
            for label, values in ALLOWED_VALUES.items():
                assert sample.labels.get(label) in {None, *values}


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


@contextmanager
def hold_writes(server: Server) -> Iterator[None]:
    """Lock the tasks of the server's database against writes."""
    with server.database() as other:
        is_sqlite = other.dialect.name == "sqlite"
        other.execute(text("BEGIN IMMEDIATE" if is_sqlite else "BEGIN"))
        if not is_sqlite:
            other.execute(text("LOCK TABLE tasks IN EXCLUSIVE MODE"))
        yield
        other.execute(text("ROLLBACK"))


def read_queue(http: httpx.Client) -> dict[str, float]:
    """Return the metrics of waiting for the database."""
    names = (
        "todo_pool_connections_in_use",
        "todo_pool_connections_max",
        "todo_pool_requests_waiting",
        "todo_sqlite_writes_waiting",
    )
    return {sample.name: sample.value for sample in read_samples(http) if sample.name in names}


def expected_queue(database: str, writes: int) -> dict[str, float]:
    is_sqlite = database == "sqlite"
    in_use = min(writes, CONNECTIONS)
    return {
        "todo_pool_connections_in_use": 0 if is_sqlite else in_use,
        "todo_pool_connections_max": 0 if is_sqlite else CONNECTIONS,
        "todo_pool_requests_waiting": 0 if is_sqlite else writes - in_use,
        "todo_sqlite_writes_waiting": max(writes - 1, 0) if is_sqlite else 0,
    }


def test_writes_that_wait_for_the_database_are_counted(
    secret_server: Server, http: httpx.Client, database: str
):
    ada = new_user(http)
    ada.create_task()
    with ThreadPoolExecutor(WRITES) as threads:
        with hold_writes(secret_server):
            writes = [threads.submit(ada.post, {"title": "wait"}) for _ in range(WRITES)]
            expected = expected_queue(database, WRITES)
            assert eventually(lambda: read_queue(http) == expected, within_s=1.4), read_queue(http)
        assert {write.result().status_code for write in writes} <= {201, 503}
    assert eventually(lambda: read_queue(http) == expected_queue(database, 0), within_s=5), read_queue(http)


@on_sqlite
def test_passwords_that_wait_for_a_thread_are_counted(accounts: httpx.Client):
    bcrypt_threads = max(1, (os.cpu_count() or 1) // 2)
    body = {"email": "missing@example.com", "password": "three green parrots"}
    with ThreadPoolExecutor(bcrypt_threads + 2) as threads:
        logins = [
            threads.submit(accounts.post, "/api/auth/login", json=body) for _ in range(bcrypt_threads + 2)
        ]
        assert eventually(lambda: read_metric(accounts, "todo_bcrypt_waiting") == 2, within_s=5)
        assert read_metric(accounts, "todo_bcrypt_running") == bcrypt_threads
    assert {login.result().status_code for login in logins} == {401}
    assert eventually(lambda: read_metric(accounts, "todo_bcrypt_running") == 0, within_s=5)
