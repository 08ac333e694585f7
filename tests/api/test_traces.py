"""Traces: the log continues the caller's trace, and spans go to a collector when one is set."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import CONTRACT, open_client
from tests.support.databases import on_sqlite
from tests.support.otlp_collector import Collector
from tests.support.server import ROOT, Server, eventually, find_free_port, run_server, start_server
from tests.support.token_issuers import ORIGIN, KeySetServer, minted, public_jwk
from tests.support.users import SECRET, User, new_user

CANARY = "c4n4ry"
PARENT_ID = "b7ad6b7169203331"
ENDS_WITHIN_S = 8
WITHOUT_OPENTELEMETRY = (
    "import sys; sys.modules['opentelemetry.sdk'] = None; import cli.__main__; cli.__main__.main()"
)
PRINT_IMPORTED = """
import sys, app, settings
app.create_app(settings.Settings())
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""


def new_trace_id() -> str:
    return secrets.token_hex(16)


def traceparent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{PARENT_ID}-{flags}"}


def log_lines_of(server: Server, response: httpx.Response) -> list[dict[str, Any]]:
    """Return the log lines of the request, the one that sums it up last."""
    request_id = response.headers["x-request-id"]

    def lines() -> list[dict[str, Any]]:
        every = [json.loads(line) for line in server.log.splitlines()]
        return [line for line in every if line.get("request_id") == request_id]

    assert eventually(lambda: any(line["event"] == "request" for line in lines()), within_s=5)
    return lines()


@pytest.fixture(scope="module")
def issuer_port() -> int:
    return find_free_port()


@pytest.fixture(scope="module")
def keyless(issuer_port: int, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose issuer is not up yet. The query of its JWKS_URL is a secret."""
    with run_server(
        folder,
        DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp('keyless') / 'todo.db'}",
        JWKS_URL=f"http://127.0.0.1:{issuer_port}/jwks?key={CANARY}",
        JWT_ISSUER=ORIGIN,
        JWT_AUDIENCE=ORIGIN,
        LOG_LEVEL="DEBUG",
    ) as server:
        yield server


def test_log_lines_of_a_request_have_its_trace(keyless: Server):
    trace_id = new_trace_id()
    headers = traceparent(trace_id) | {"Authorization": f"Bearer {minted('EdDSA-one')}"}
    with open_client(keyless.url, headers=headers) as http:
        response = http.get("/api/ada/tasks")
    assert response.status_code == 503
    warning, *_, request = log_lines_of(keyless, response)
    assert warning["event"] == "the key set cannot be fetched"
    assert {line["trace_id"] for line in (warning, request)} == {trace_id}
    assert {line["parent_id"] for line in (warning, request)} == {PARENT_ID}


def test_log_of_a_key_fetch_has_no_query_of_its_url(keyless: Server, issuer_port: int):
    headers = {"Authorization": f"Bearer {minted('EdDSA-one')}"}
    with open_client(keyless.url, headers=headers) as http:
        assert http.get("/api/ada/tasks").status_code == 503
        with KeySetServer(public_jwk("EdDSA-one")).serving(port=issuer_port):
            assert eventually(lambda: http.get("/api/ada/tasks").status_code == 200, within_s=10)
    assert "the key set cannot be fetched" in keyless.log
    assert CANARY not in keyless.log


def test_log_has_no_trace_without_one_valid_traceparent(keyless: Server):
    one = traceparent(new_trace_id())["traceparent"]
    headers: list[list[tuple[str, str]]] = [
        [],
        [("traceparent", CANARY)],
        [("traceparent", one)] * 2,
        [("tracestate", CANARY)],
    ]
    with open_client(keyless.url) as http:
        for sent in headers:
            [line] = log_lines_of(keyless, http.get("/health/live", headers=sent))
            assert "trace_id" not in line, sent
    assert CANARY not in keyless.log


def test_browser_of_an_allowed_origin_can_send_its_trace(keyless: Server):
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PATCH"}
    headers["Access-Control-Request-Headers"] = "traceparent,tracestate"
    with open_client(keyless.url) as http:
        assert http.options("/api/ada/tasks/1", headers=headers).status_code == 200


def settings_for(database_url: str, endpoint: str, delay_ms: int = 50) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": str(delay_ms),
    }


@pytest.fixture(scope="module")
def collector() -> Collector:
    return Collector()


@pytest.fixture(scope="module")
def traced(collector: Collector, new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server that sends its spans at once."""
    with (
        collector.serve() as endpoint,
        run_server(folder, LOG_LEVEL="DEBUG", **settings_for(new_database(), endpoint)) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def ada(traced: Server) -> Iterator[User]:
    with httpx.Client(base_url=traced.url, timeout=20, verify=False) as http:  # 500 is not in the contract
        yield new_user(http, CANARY)


@on_sqlite
def test_request_is_a_span_below_the_span_of_its_caller(traced: Server, collector: Collector, ada: User):
    trace_id, task = new_trace_id(), ada.create_task(CANARY)
    response = ada.request("PATCH", f"/{task['id']}", json={"title": CANARY}, headers=traceparent(trace_id))
    span = collector.wait_for_request(trace_id)
    assert (span.name, span.parent_id, span.is_error) == ("tasks.patch", PARENT_ID, False)
    assert span.attributes == {
        "http.request.method": "PATCH",
        "http.route": "/api/{user_id}/tasks/{task_id}",
        "http.response.status_code": 200,
    }
    assert span.resource["service.name"] == "todo-backend"
    assert span.resource["service.version"] == CONTRACT["info"]["version"]
    [line] = log_lines_of(traced, response)
    assert (line["trace_id"], line["span_id"], line["parent_id"]) == (trace_id, span.span_id, PARENT_ID)


@on_sqlite
def test_statement_is_a_span_below_its_request(collector: Collector, ada: User):
    trace_id = new_trace_id()
    ada.request("GET", headers=traceparent(trace_id))
    request = collector.wait_for_request(trace_id)
    [statement] = [s for s in collector.spans if s.trace_id == trace_id and s is not request]
    assert (statement.name, statement.parent_id) == ("SELECT", request.span_id)
    assert "FROM tasks" in statement.attributes["db.query.text"]


@on_sqlite
def test_request_without_a_caller_begins_a_trace(traced: Server, collector: Collector, ada: User):
    [line] = log_lines_of(traced, ada.get())
    span = collector.wait_for_request(line["trace_id"])
    assert (span.name, span.parent_id, span.span_id) == ("tasks.list", "", line["span_id"])


@on_sqlite
def test_request_of_an_unsampled_caller_sends_no_span(traced: Server, collector: Collector, ada: User):
    unsampled, sampled = new_trace_id(), new_trace_id()
    response = ada.request("GET", headers=traceparent(unsampled, flags="00"))
    ada.request("GET", headers=traceparent(sampled))
    collector.wait_for_request(sampled)
    assert collector.find_requests(unsampled) == []
    assert log_lines_of(traced, response)[-1]["trace_id"] == unsampled


@on_sqlite
def test_rejected_request_is_no_error_of_its_span(collector: Collector, ada: User):
    trace_id = new_trace_id()
    assert ada.request("GET", "/999", headers=traceparent(trace_id)).status_code == 404
    span = collector.wait_for_request(trace_id)
    assert (span.attributes["http.response.status_code"], span.is_error) == (404, False)


@on_sqlite
def test_unknown_path_and_method_are_not_in_the_span(collector: Collector, ada: User):
    trace_id = new_trace_id()
    ada.http.request("PROPFIND", f"/{CANARY}?{CANARY}", headers=traceparent(trace_id))
    span = collector.wait_for_request(trace_id)
    assert span.name == "none"
    assert span.attributes == {"http.request.method": "_OTHER", "http.response.status_code": 404}


def test_failing_statement_is_an_error_of_its_span_and_no_value_is_sent_or_logged(
    traced: Server, collector: Collector, ada: User
):
    title = "s3cr3t"  # PostgreSQL repeats it: Key (title)=(s3cr3t) already exists
    with traced.database() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_title ON tasks (title)"))
    ada.create_task(title)
    trace_id = new_trace_id()
    response = ada.request("POST", json={"title": title}, headers=traceparent(trace_id))
    assert response.status_code == 500
    request = collector.wait_for_request(trace_id)
    assert request.is_error
    assert request.attributes["error.type"] == "500"
    [statement] = [s for s in collector.spans if s.trace_id == trace_id and s is not request]
    assert statement.is_error
    assert statement.attributes["error.type"] in {"IntegrityError", "UniqueViolation"}
    assert [value for value in (title, CANARY) if value.encode() in collector.raw] == []
    assert title not in traced.log


def test_spans_that_are_left_are_sent_at_shutdown(folder: Path, tmp_path: Path):
    collector, trace_id = Collector(), new_trace_id()
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with (
        collector.serve() as endpoint,
        run_server(folder, **settings_for(url, endpoint, delay_ms=60_000)) as server,
    ):
        with open_client(server.url) as http:
            http.get("/health/live", headers=traceparent(trace_id))
        server.stop()
        assert [span.name for span in collector.find_requests(trace_id)] == ["service.live"]


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


def test_server_without_the_packages_for_traces_does_not_start(folder: Path, tmp_path: Path):
    command = (sys.executable, "-c", WITHOUT_OPENTELEMETRY, "serve")
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    server = start_server(folder, command, **settings_for(url, "http://localhost:4318"))
    try:
        assert server.process.wait(timeout=20) != 0
    finally:
        server.kill()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in server.log
    assert "requirements-otel.lock" in server.log
    assert "Traceback" not in server.log


def test_opentelemetry_is_not_imported_without_a_collector(folder: Path):
    command = [sys.executable, "-W", "ignore", "-c", PRINT_IMPORTED]
    environment = {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert printed.stdout.strip() == ""
