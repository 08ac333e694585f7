"""The log continues the trace of the caller; without OpenTelemetry too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.contract_checks import open_client
from tests.support.otlp_collector import CALLER, new_trace_id, traceparent
from tests.support.server import Server, eventually, find_free_port, run_server
from tests.support.token_issuers import ORIGIN, KeySetServer, minted, public_jwk

CANARY = "c4n4ry"


def log_lines_of(server: Server, response: httpx.Response) -> list[dict[str, Any]]:
    """Return the log lines of the request."""
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
def server(issuer_port: int, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that starts before its issuer. The query of its JWKS_URL is a secret."""
    with run_server(
        folder,
        DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp('traces') / 'todo.db'}",
        JWKS_URL=f"http://127.0.0.1:{issuer_port}/jwks?key={CANARY}",
        JWT_ISSUER=ORIGIN,
        JWT_AUDIENCE=ORIGIN,
        LOG_LEVEL="DEBUG",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with open_client(server.url, headers={"Authorization": f"Bearer {minted('EdDSA-one')}"}) as http:
        yield http


def test_log_lines_of_a_request_have_the_trace_of_its_caller(server: Server, http: httpx.Client):
    trace_id = new_trace_id()
    response = http.get("/api/ada/tasks", headers=traceparent(trace_id))
    assert response.status_code == 503
    warning, *_, request = log_lines_of(server, response)
    assert warning["event"] == "the key set cannot be fetched"
    assert {line["trace_id"] for line in (warning, request)} == {trace_id}
    assert {line["parent_id"] for line in (warning, request)} == {CALLER}


def test_log_has_no_trace_without_one_valid_traceparent(server: Server, http: httpx.Client):
    valid = traceparent(new_trace_id())["traceparent"]
    headers: list[list[tuple[str, str]]] = [
        [],
        [("traceparent", CANARY)],
        [("traceparent", valid)] * 2,
        [("tracestate", CANARY)],
    ]
    for sent in headers:
        [line] = log_lines_of(server, http.get("/health/live", headers=sent))
        assert "trace_id" not in line, sent
    assert CANARY not in server.log


def test_browser_of_an_allowed_origin_can_send_its_trace(http: httpx.Client):
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PATCH"}
    headers["Access-Control-Request-Headers"] = "traceparent,tracestate"
    assert http.options("/api/ada/tasks/1", headers=headers).status_code == 200


def test_log_of_a_key_fetch_has_no_query_of_its_url(server: Server, http: httpx.Client, issuer_port: int):
    assert http.get("/api/ada/tasks").status_code == 503
    with KeySetServer(public_jwk("EdDSA-one")).serving(port=issuer_port):
        assert eventually(lambda: http.get("/api/ada/tasks").status_code == 200, within_s=10)
    assert "the key set cannot be fetched" in server.log
    assert CANARY not in server.log
