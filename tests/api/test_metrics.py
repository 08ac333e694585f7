"""GET /metrics: what is counted, by all workers, and nothing in it of what people sent."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import CONTRACT, open_client, operations
from tests.support.metrics_text import figure, samples
from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET, new_user

CANARY = "c4n4ry"
REQUESTS = 40
WRITES = 12  # at once: more than there are connections to PostgreSQL
CONNECTIONS = 10
DURATIONS = "todo_request_duration_seconds"
LABELS = {"operation", "method", "status", "le", "limit", "outcome", "version", "pid"}
OF_THE_LIBRARY = {"generation", "implementation", "major", "minor", "patchlevel"}  # of python_*


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers with a limit; each counts it for itself."""
    home = tmp_path_factory.mktemp("workers")
    settings = {"DATABASE_URL": f"sqlite:///{home / 'todo.db'}", "BETTER_AUTH_SECRET": SECRET}
    with run_server(
        folder, **settings, TMPDIR=str(home), WORKERS="2", RATE_LIMIT="on", RATE_LIMIT_API="3/hour"
    ) as server:
        assert eventually(lambda: server.log.count("Application startup complete") == 2, within_s=60)
        yield server


@contextmanager
def fresh(server: Server) -> Iterator[httpx.Client]:
    """A client on a connection of its own, which either worker may take."""
    with open_client(server.url) as http:
        yield http


def counted(server: Server, name: str, **labels: str) -> float:
    with fresh(server) as http:
        return figure(http, name, **labels)


def workers(server: Server) -> set[str]:
    with fresh(server) as http:
        return {s.labels["pid"] for s in samples(http) if s.name == "todo_build_info"}


def test_whichever_worker_answers_says_what_all_have_counted(server: Server):
    name, labels = "todo_requests_total", {"operation": "service.ready", "method": "GET", "status": "200"}
    before = counted(server, name, **labels)
    for _ in range(REQUESTS):
        with fresh(server) as http:
            assert http.get("/health/ready").status_code == 200
    assert eventually(lambda: counted(server, name, **labels) == before + REQUESTS, within_s=5)
    assert {counted(server, name, **labels) for _ in range(10)} == {before + REQUESTS}
    assert counted(server, f"{DURATIONS}_count", operation="service.ready") == before + REQUESTS
    assert counted(server, f"{DURATIONS}_bucket", operation="service.ready", le="+Inf") == before + REQUESTS


def test_refusals_are_counted_by_limit(server: Server):
    before = counted(server, "todo_rate_limit_refusals_total", limit="api")
    with fresh(server) as http:
        ada = new_user(http)
        assert [ada.get().status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert counted(server, "todo_rate_limit_refusals_total", limit="api") == before + 2
    assert counted(server, "todo_rate_limit_refusals_total", limit="login") == 0
    assert counted(server, "todo_rate_limit_storage_away") == 0


def test_every_worker_says_what_it_takes_and_which_contract_it_serves(server: Server):
    with fresh(server) as http:
        found = [*samples(http)]
    builds = [sample.labels for sample in found if sample.name == "todo_build_info"]
    assert {build["version"] for build in builds} == {CONTRACT["info"]["version"]}
    pids = {build["pid"] for build in builds}
    assert len(pids) == 2
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        sizes = {sample.labels["pid"]: sample.value for sample in found if sample.name == name}
        assert sizes.keys() == pids
        assert all(size > 0 for size in sizes.values())


def test_what_a_dead_worker_counted_stays_and_what_it_was_goes(server: Server):
    before, dead = counted(server, "todo_requests_total"), min(workers(server))
    os.kill(int(dead), signal.SIGKILL)
    assert eventually(lambda: is_replaced(server, dead), within_s=20)
    assert counted(server, "todo_requests_total") >= before
    with fresh(server) as http:
        assert dead not in {sample.labels.get("pid") for sample in samples(http)}


def is_replaced(server: Server, dead: str) -> bool:
    try:
        alive = workers(server)
    except httpx.TransportError:  # its connections died with it
        return False
    return len(alive) == 2 and dead not in alive


def test_folder_of_the_figures_is_gone_in_the_end(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "TMPDIR": str(tmp_path), "WORKERS": "2"}
    with run_server(folder, **settings) as server:
        assert len([*tmp_path.glob("todo-metrics-*")]) == 1
        server.stop()
    assert [*tmp_path.glob("todo-metrics-*")] == []


def test_nothing_that_was_sent_is_in_the_figures(server: Server):
    with fresh(server) as http:
        ada = new_user(http, CANARY)
        headers = {"X-Canary": CANARY, "User-Agent": CANARY, "traceparent": CANARY, "X-Request-Id": CANARY}
        for method, path in [
            ("GET", ada.tasks), ("GET", f"/api/{CANARY}"), ("PURGE", ada.tasks), ("PROPFIND", f"/{CANARY}"),
            ("POST", f"{ada.tasks}/{CANARY}"), ("GET", f"/health/live?{CANARY}"), ("PUT", "/health/live"),
        ]:  # fmt: skip
            http.request(method, path, headers=headers | ada.headers, content=CANARY)
        http.post("/api/auth/login", json={"email": f"{CANARY}@example.com", "password": CANARY})
        assert eventually(lambda: figure(http, "todo_requests_total", method="other") >= 5, within_s=5)
        assert CANARY not in http.get("/metrics").text.lower()


def test_labels_are_bounded(server: Server):
    with fresh(server) as http:
        http.request("PROPFIND", "/")
        assert eventually(lambda: figure(http, "todo_requests_total", method="other") >= 1, within_s=5)
        found = [*samples(http)]
    bounded = {
        "operation": {"none", *(operation.id for operation in operations())},
        "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"},
        "limit": {"api", "login", "signup"},
        "outcome": {"success", "failure"},
    }
    for sample in found:
        assert sample.labels.keys() <= LABELS | OF_THE_LIBRARY
        for label, values in bounded.items():
            assert sample.labels.get(label) in {None, *values}


@contextmanager
def writes_held(server: Server) -> Iterator[None]:
    """Nobody can write to the tasks of the server's database meanwhile."""
    with server.database() as other:
        is_sqlite = other.dialect.name == "sqlite"
        other.execute(text("BEGIN IMMEDIATE" if is_sqlite else "BEGIN"))
        if not is_sqlite:
            other.execute(text("LOCK TABLE tasks IN EXCLUSIVE MODE"))
        yield
        other.execute(text("ROLLBACK"))


def queue(http: httpx.Client) -> dict[str, float]:
    """What is in use of the database, and who waits for it."""
    names = (
        "pool_connections_in_use",
        "pool_connections_max",
        "pool_requests_waiting",
        "sqlite_writes_waiting",
    )
    found = {sample.name.removeprefix("todo_"): sample.value for sample in samples(http)}
    return {name: found[name] for name in names}


def waiting_for(database: str, writes: int) -> dict[str, float]:
    is_sqlite = database == "sqlite"
    in_use = min(writes, CONNECTIONS)
    return {
        "pool_connections_in_use": 0 if is_sqlite else in_use,
        "pool_connections_max": 0 if is_sqlite else CONNECTIONS,
        "pool_requests_waiting": 0 if is_sqlite else writes - in_use,
        "sqlite_writes_waiting": max(writes - 1, 0) if is_sqlite else 0,
    }


def test_writes_that_wait_for_the_database_are_seen_waiting(
    secret_server: Server, http: httpx.Client, database: str
):
    ada = new_user(http)
    ada.create_task()
    answers: list[Future[httpx.Response]] = []
    with ThreadPoolExecutor(WRITES) as threads, writes_held(secret_server):
        answers += [threads.submit(ada.post, {"title": "wait"}) for _ in range(WRITES)]
        assert eventually(lambda: queue(http) == waiting_for(database, WRITES), within_s=1.4), queue(http)
    assert {answer.result().status_code for answer in answers} <= {201, 503}
    assert eventually(lambda: queue(http) == waiting_for(database, 0), within_s=5), queue(http)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_passwords_that_wait_are_seen_waiting(accounts: httpx.Client):
    threads_of_bcrypt = max(1, (os.cpu_count() or 1) // 2)
    body = {"email": "nobody@example.com", "password": "three green parrots"}
    ask: Callable[[], httpx.Response] = lambda: accounts.post("/api/auth/login", json=body)  # noqa: E731
    with ThreadPoolExecutor(threads_of_bcrypt + 2) as threads:
        answers = [threads.submit(ask) for _ in range(threads_of_bcrypt + 2)]
        assert eventually(lambda: figure(accounts, "todo_bcrypt_waiting") == 2, within_s=5)
        assert figure(accounts, "todo_bcrypt_running") == threads_of_bcrypt
    assert {answer.result().status_code for answer in answers} == {401}
    assert eventually(lambda: figure(accounts, "todo_bcrypt_running") == 0, within_s=5)
