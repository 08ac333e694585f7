"""GET /metrics: what the server counts, without anything that a client sent."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from sqlalchemy import text

from tests.support.contract_checks import operations
from tests.support.databases import on_sqlite
from tests.support.metrics_text import read_metric, read_samples
from tests.support.server import Server, eventually
from tests.support.users import new_user

CANARY = "c4n4ry"
WRITES = 12  # at once: more than there are connections to PostgreSQL
CONNECTIONS = 10
ALLOWED_VALUES = {
    "operation": {"none", *(operation.id for operation in operations())},
    "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"},
    "limit": {"api", "login", "signup"},
    "outcome": {"success", "failure"},
}
OTHER_LABELS = {"status", "le", "version", "pid"}
LABELS_OF_PYTHON = {"generation", "implementation", "major", "minor", "patchlevel"}


@on_sqlite
def test_no_value_of_a_request_is_in_the_metrics_and_labels_are_bounded(http: httpx.Client):
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
