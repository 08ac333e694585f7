"""Traces: a caller's is taken over into the log, and spans go to a collector where one is set."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import CONTRACT, open_client
from tests.support.otlp_collector import Collector, Span
from tests.support.server import ROOT, Server, eventually, find_free_port, run_server, start_server
from tests.support.token_issuers import minted
from tests.support.users import SECRET, User, new_user

CANARY = "c4n4ry"
PARENT_ID = "b7ad6b7169203331"
ENDS_WITHIN_S = 8
WITHOUT_OPENTELEMETRY = (
    "import sys; sys.modules['opentelemetry.sdk'] = None; import cli.__main__; cli.__main__.main()"
)
IS_IMPORTED = """
import sys, app, settings
app.create_app(settings.Settings())
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""


def new_trace() -> str:
    return secrets.token_hex(16)


def traceparent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{PARENT_ID}-{flags}"}


def lines_of(server: Server, answer: httpx.Response) -> list[dict[str, Any]]:
    """What was logged under the answer's request, the line of the request last."""
    request_id = answer.headers["x-request-id"]

    def lines() -> list[dict[str, Any]]:
        every = [json.loads(line) for line in server.log.splitlines()]
        return [line for line in every if line.get("request_id") == request_id]

    assert eventually(lambda: any(line["event"] == "request" for line in lines()), within_s=5)
    return lines()


@pytest.fixture(scope="module")
def keyless(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose issuer is away, of which it warns."""
    origin = "http://localhost:3000"
    with run_server(
        folder,
        DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp('keyless') / 'todo.db'}",
        JWKS_URL=f"http://127.0.0.1:{find_free_port()}/jwks",
        JWT_ISSUER=origin,
        JWT_AUDIENCE=origin,
    ) as server:
        yield server


def test_warning_is_logged_under_its_request_and_its_trace(keyless: Server):
    trace_id = new_trace()
    headers = traceparent(trace_id) | {"Authorization": f"Bearer {minted('EdDSA-one')}"}
    with open_client(keyless.url, headers=headers) as http:
        answer = http.get("/api/ada/tasks")
    assert answer.status_code == 503
    warning, *_, request = lines_of(keyless, answer)
    assert warning["event"] == "the key set cannot be fetched"
    assert {line["trace_id"] for line in (warning, request)} == {trace_id}
    assert {line["parent_id"] for line in (warning, request)} == {PARENT_ID}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", CANARY)],
        [("traceparent", traceparent(new_trace())["traceparent"])] * 2,
        [("tracestate", CANARY)],
    ],
    ids=["none", "not one", "two", "state alone"],
)
def test_without_a_valid_parent_the_line_has_no_trace(keyless: Server, headers: list[tuple[str, str]]):
    with open_client(keyless.url) as http:
        answer = http.get("/health/live", headers=headers)
    [line] = lines_of(keyless, answer)
    assert "trace_id" not in line
    assert CANARY not in keyless.log


def test_browsers_may_send_their_trace(http: httpx.Client):
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PATCH"}
    headers["Access-Control-Request-Headers"] = "traceparent,tracestate"
    assert http.options("/api/ada/tasks/1", headers=headers).status_code == 200


@pytest.fixture(scope="module")
def collector() -> Collector:
    return Collector()


@pytest.fixture(scope="module")
def traced(collector: Collector, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that sends its spans at once."""
    url = f"sqlite:///{tmp_path_factory.mktemp('traced') / 'todo.db'}"
    with (
        collector.serving() as endpoint,
        run_server(folder, **settings(url, endpoint, delay_ms=50)) as server,
    ):
        yield server


def settings(database_url: str, endpoint: str, delay_ms: int = 5000) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": str(delay_ms),
    }


def span_of(collector: Collector, trace_id: str) -> Span:
    """The one of the request sent with that trace."""
    assert eventually(lambda: len(collector.requests(trace_id)) == 1, within_s=10)
    return collector.requests(trace_id)[0]


@pytest.fixture(scope="module")
def ada(traced: Server) -> Iterator[User]:
    with httpx.Client(base_url=traced.url, timeout=20, verify=False) as http:  # 500 is not in the contract
        yield new_user(http, CANARY)


def test_patch_is_a_span_below_its_caller(traced: Server, collector: Collector, ada: User):
    trace_id, task = new_trace(), ada.create_task(CANARY)
    answer = ada.request("PATCH", f"/{task['id']}", json={"title": CANARY}, headers=traceparent(trace_id))
    span = span_of(collector, trace_id)
    assert (span.name, span.parent_id, span.is_error) == ("tasks.patch", PARENT_ID, False)
    assert span.attributes == {
        "http.request.method": "PATCH",
        "http.route": "/api/{user_id}/tasks/{task_id}",
        "http.response.status_code": 200,
    }
    assert span.resource["service.name"] == "todo-backend"
    assert span.resource["service.version"] == CONTRACT["info"]["version"]
    [line] = lines_of(traced, answer)
    assert (line["trace_id"], line["span_id"], line["parent_id"]) == (trace_id, span.span_id, PARENT_ID)


def test_statement_is_a_span_below_its_request(collector: Collector, ada: User):
    trace_id = new_trace()
    ada.request("GET", headers=traceparent(trace_id))
    request = span_of(collector, trace_id)
    [statement] = [s for s in collector.spans if s.trace_id == trace_id and s is not request]
    assert (statement.name, statement.parent_id) == ("SELECT", request.span_id)
    assert "FROM tasks" in statement.attributes["db.query.text"]


def test_request_without_a_parent_begins_a_trace(traced: Server, collector: Collector, ada: User):
    [line] = lines_of(traced, ada.get())
    span = span_of(collector, line["trace_id"])
    assert (span.name, span.parent_id, span.span_id) == ("tasks.list", "", line["span_id"])


def test_caller_that_is_not_sampled_is_not_traced_either(traced: Server, collector: Collector, ada: User):
    unsampled, sampled = new_trace(), new_trace()
    answer = ada.request("GET", headers=traceparent(unsampled, flags="00"))
    ada.request("GET", headers=traceparent(sampled))
    span_of(collector, sampled)
    assert collector.requests(unsampled) == []
    assert lines_of(traced, answer)[-1]["trace_id"] == unsampled


def test_clients_mistake_is_no_error_of_the_span(collector: Collector, ada: User):
    trace_id = new_trace()
    assert ada.request("GET", "/999", headers=traceparent(trace_id)).status_code == 404
    span = span_of(collector, trace_id)
    assert (span.attributes["http.response.status_code"], span.is_error) == (404, False)


def test_path_that_is_not_there_is_not_named(collector: Collector, ada: User):
    trace_id = new_trace()
    ada.http.request("PROPFIND", f"/{CANARY}?{CANARY}", headers=traceparent(trace_id))
    span = span_of(collector, trace_id)
    assert span.name == "none"
    assert span.attributes == {"http.request.method": "_OTHER", "http.response.status_code": 404}


def test_failure_of_the_server_is_an_error_and_tells_nothing(traced: Server, collector: Collector, ada: User):
    with traced.database() as connection:
        connection.execute(text("DELETE FROM tasks"))
        connection.execute(text("CREATE UNIQUE INDEX one_task_each ON tasks (user_id)"))
    ada.create_task(CANARY)
    trace_id = new_trace()
    answer = ada.request("POST", json={"title": CANARY}, headers=traceparent(trace_id))
    assert answer.status_code == 500
    span = span_of(collector, trace_id)
    assert span.is_error
    assert span.attributes["error.type"] == str(span.attributes["http.response.status_code"]) == "500"
    assert CANARY.encode() not in collector.raw


def test_what_is_left_is_sent_in_the_end(folder: Path, tmp_path: Path):
    collector, trace_id = Collector(), new_trace()
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with (
        collector.serving() as endpoint,
        run_server(folder, **settings(url, endpoint, delay_ms=60_000)) as server,
    ):
        with open_client(server.url) as http:
            http.get("/health/live", headers=traceparent(trace_id))
        server.stop()
        assert [span.name for span in collector.requests(trace_id)] == ["service.live"]


def test_collector_that_hangs_holds_neither_requests_nor_the_end(folder: Path, tmp_path: Path):
    collector = Collector(hangs=True)
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    with (
        collector.serving() as endpoint,
        run_server(folder, **settings(url, endpoint, delay_ms=50)) as server,
    ):
        with open_client(server.url) as http:
            ada = new_user(http)
            ada.create_task()
            assert collector.asked.wait(10)
            assert {ada.get().status_code for _ in range(600)} == {200}  # more than one batch takes
        told_at = time.monotonic()
        server.stop()
        assert time.monotonic() - told_at < ENDS_WITHIN_S
        assert server.process.returncode == 0


def test_without_the_packages_the_server_does_not_start_and_says_so(folder: Path, tmp_path: Path):
    command = (sys.executable, "-c", WITHOUT_OPENTELEMETRY, "serve")
    server = start_server(
        folder, command, **settings(f"sqlite:///{tmp_path / 'todo.db'}", "http://localhost:4318")
    )
    try:
        assert server.process.wait(timeout=20) != 0
    finally:
        server.kill()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in server.log
    assert "requirements-otel.lock" in server.log
    assert "Traceback" not in server.log


def test_nothing_of_it_is_imported_unless_it_is_asked_for(folder: Path):
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IS_IMPORTED],
        cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert printed.stdout.strip() == ""
