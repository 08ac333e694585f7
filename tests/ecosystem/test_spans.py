"""Requests and statements are spans, which go to an OpenTelemetry collector when one is set."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url, text

import observability
from observability.spans import UNTRACED
from tests.support.command_line import call_todo
from tests.support.contract_checks import CONTRACT, open_client
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.otlp_collector import CALLER, Collector, new_trace_id, traceparent
from tests.support.server import ROOT, Server, eventually, run_server
from tests.support.users import SECRET, User, new_user

CANARY = "c4n4ry"
ENDS_WITHIN_S = 8
ROUTE = "/api/{user_id}/tasks/{task_id}"
SERVER_ATTRIBUTES = {
    "url.scheme": "https",
    "server.address": "todo.example.com",
    "server.port": 443,
    "network.protocol.version": "1.1",
}
PRINT_IMPORTED = """
import sys, app, settings
app.create_app(settings.Settings())
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""


def settings_for(database_url: str, endpoint: str, delay_ms: int = 50) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": str(delay_ms),
        "PUBLIC_URL": "https://todo.example.com",
    }


@pytest.fixture(scope="module")
def collector() -> Collector:
    return Collector()


@pytest.fixture(scope="module")
def server(collector: Collector, new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server that sends its spans at once."""
    with (
        collector.serve() as endpoint,
        run_server(folder, LOG_LEVEL="DEBUG", **settings_for(new_database(), endpoint)) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def ada(server: Server) -> Iterator[User]:
    with httpx.Client(base_url=server.url, timeout=20, verify=False) as http:  # 500 is not in the contract
        yield new_user(http, CANARY)


@on_sqlite
def test_statement_is_a_span_below_its_request_and_that_is_below_its_caller(
    server: Server, collector: Collector, ada: User
):
    trace_id, task = new_trace_id(), ada.create_task(CANARY)
    ada.request("PATCH", f"/{task['id']}", json={"title": CANARY}, headers=traceparent(trace_id))
    request = collector.wait_for_request(trace_id)
    assert (request.name, request.parent_id, request.is_error) == (f"PATCH {ROUTE}", CALLER, False)
    assert request.attributes == SERVER_ATTRIBUTES | {
        "http.request.method": "PATCH",
        "http.route": ROUTE,
        "http.response.status_code": 200,
    }
    assert request.resource["service.name"] == "todo-backend"
    assert request.resource["service.version"] == CONTRACT["info"]["version"]
    assert f'"trace_id":"{trace_id}","parent_id":"{CALLER}","span_id":"{request.span_id}"' in server.log
    commit, statement = collector.find_statements(trace_id)
    assert (statement.name, statement.parent_id) == ("UPDATE tasks", request.span_id)
    assert "UPDATE tasks" in statement.attributes.pop("db.query.text")
    assert statement.attributes == {
        "db.system.name": "sqlite",
        "db.operation.name": "UPDATE",
        "db.collection.name": "tasks",
        "db.query.summary": "UPDATE tasks",
    }
    assert (commit.name, commit.parent_id) == ("COMMIT", request.span_id)


@on_postgresql
def test_transaction_and_its_connection_are_spans_with_the_address_of_postgresql(
    server: Server, collector: Collector, ada: User
):
    trace_id = new_trace_id()
    ada.request("POST", json={"title": "x"}, headers=traceparent(trace_id) | {"Idempotency-Key": "x"})
    collector.wait_for_request(trace_id)
    statements = collector.find_statements(trace_id)
    names = [span.name for span in statements if span.name != "connect"]
    assert (names[0], names[-1]) == ("BEGIN", "COMMIT")
    assert {"INSERT idempotency_keys", "INSERT tasks"} <= {*names}
    url = make_url(server.settings["DATABASE_URL"])
    address = {"db.system.name": "postgresql", "db.namespace": url.database, "server.address": url.host}
    address["server.port"] = url.port
    for span in statements:
        assert span.attributes | address == span.attributes


def test_probes_and_scrapes_are_not_traced(collector: Collector, ada: User):
    traced = new_trace_id()
    untraced = [new_trace_id() for _ in UNTRACED]
    for path, trace_id in zip(UNTRACED, untraced, strict=True):
        assert ada.http.get(path, headers=traceparent(trace_id)).status_code == 200
    ada.request("GET", headers=traceparent(traced))
    collector.wait_for_request(traced)
    assert [span for span in collector.spans if span.trace_id in untraced] == []


@on_postgresql
def test_request_that_waits_for_a_connection_says_so(
    collector: Collector, new_database: Callable[[], str], folder: Path
):
    with (
        collector.serve() as endpoint,
        run_server(folder, DATABASE_POOL_SIZE="1", **settings_for(new_database(), endpoint)) as server,
        open_client(server.url) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        ada = new_user(http)
        for _ in range(20):
            [*pool.map(lambda _: ada.get(), range(8))]
        assert eventually(lambda: "wait for a connection" in {s.name for s in collector.spans}, within_s=10)


@on_sqlite
def test_request_without_a_caller_begins_a_trace(server: Server, collector: Collector, ada: User):
    request_id = ada.get().headers["x-request-id"]
    ada.get()  # its response comes after the log line of the request before
    [line] = [line for line in server.log.splitlines() if request_id in line]
    trace_id = line.partition('"trace_id":"')[2][:32]
    span = collector.wait_for_request(trace_id)
    assert (span.name, span.parent_id) == ("GET /api/{user_id}/tasks", "")
    assert f'"span_id":"{span.span_id}"' in line


@on_sqlite
def test_request_of_an_unsampled_caller_sends_no_span(collector: Collector, ada: User):
    unsampled, sampled = new_trace_id(), new_trace_id()
    ada.request("GET", headers=traceparent(unsampled, flags="00"))
    ada.request("GET", headers=traceparent(sampled))
    collector.wait_for_request(sampled)
    assert collector.find_requests(unsampled) == []


@on_sqlite
def test_rejected_request_is_no_error_and_an_unknown_path_and_method_are_not_sent(
    collector: Collector, ada: User
):
    rejected, unknown = new_trace_id(), new_trace_id()
    assert ada.request("GET", "/999", headers=traceparent(rejected)).status_code == 404
    span = collector.wait_for_request(rejected)
    assert (span.attributes["http.response.status_code"], span.is_error) == (404, False)
    ada.http.request("PROPFIND", f"/{CANARY}?{CANARY}", headers=traceparent(unknown))
    span = collector.wait_for_request(unknown)
    assert span.name == "HTTP"
    assert span.attributes == SERVER_ATTRIBUTES | {
        "http.request.method": "_OTHER",
        "http.response.status_code": 404,
    }


def test_failing_statement_is_an_error_and_no_value_is_sent_or_logged(
    server: Server, collector: Collector, ada: User
):
    title = "s3cr3t"  # PostgreSQL repeats it: Key (title)=(s3cr3t) already exists
    with server.database() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_title ON tasks (title)"))
    ada.create_task(title)
    trace_id = new_trace_id()
    response = ada.request("POST", json={"title": title}, headers=traceparent(trace_id))
    assert response.status_code == 500
    request = collector.wait_for_request(trace_id)
    assert request.is_error
    assert request.attributes["error.type"] == "500"
    statement = next(span for span in collector.find_statements(trace_id) if span.name == "INSERT tasks")
    assert statement.is_error
    error = {"error.type": statement.attributes["error.type"]}
    error |= {"db.response.status_code": statement.attributes.get("db.response.status_code", "")}
    assert error in (
        {"error.type": "IntegrityError", "db.response.status_code": ""},
        {"error.type": "UniqueViolation", "db.response.status_code": "23505"},
    )
    assert [value for value in (title, CANARY) if value.encode() in collector.raw] == []
    assert title not in server.log


def test_spans_that_are_left_are_sent_at_shutdown(folder: Path, tmp_path: Path):
    collector, trace_id = Collector(), new_trace_id()
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with (
        collector.serve() as endpoint,
        run_server(folder, **settings_for(url, endpoint, delay_ms=60_000)) as server,
    ):
        with open_client(server.url) as http:
            http.get("/openapi.json", headers=traceparent(trace_id))
        server.stop()
        assert [span.name for span in collector.find_requests(trace_id)] == ["GET /openapi.json"]


def test_collector_that_hangs_delays_neither_requests_nor_shutdown(folder: Path, tmp_path: Path):
    collector = Collector(hangs=True)
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with (
        collector.serve() as endpoint,
        run_server(folder, **settings_for(url, endpoint)) as server,
    ):
        with open_client(server.url) as http:
            ada = new_user(http)
            ada.create_task()
            assert collector.was_called.wait(10)
            assert {ada.get().status_code for _ in range(300)} == {200}  # more than one batch holds
        stopped_at = time.monotonic()
        server.stop()
        assert time.monotonic() - stopped_at < ENDS_WITHIN_S
        assert server.process.returncode == 0


def test_server_without_the_packages_for_spans_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "observability.spans", raising=False)
    monkeypatch.delattr(observability, "spans", raising=False)
    ended = call_todo(tmp_path, "serve", OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318")
    assert (ended.status, ended.errors.count("\n")) == (1, 1)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in ended.errors
    assert "requirements-otel.lock" in ended.errors


def test_opentelemetry_is_not_imported_without_a_collector(folder: Path):
    command = [sys.executable, "-W", "ignore", "-c", PRINT_IMPORTED]
    environment = {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert printed.stdout.strip() == ""
