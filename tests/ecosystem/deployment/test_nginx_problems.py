"""Every response that nginx makes is a problem of the contract, which the frontend's origin can read."""

import json
import re
import shutil
import socketserver
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from contract.problems import Problem
from tests.ecosystem.deployment.nginx import Nginx, run_nginx
from tests.ecosystem.deployment.pages import settings_of
from tests.support.contract_checks import CONTRACT, METHODS, PROBLEM, find_violations
from tests.support.raw_http import RawResponse, exchange
from tests.support.server import eventually

LISTED = settings_of("nginx.md")["CORS_ORIGINS"]
TITLES = {f"urn:todo:problem:{found.code}": found.title for found in (Problem, *Problem.__subclasses__())}
STATUSES = {found["type"]: found["status"] for found in CONTRACT["x-problem-types"]}
SILENT_S = 1


class Upstream(socketserver.BaseRequestHandler):
    """A server that reads a request and sends no response. It closes the connection at once for /closed."""

    def handle(self) -> None:
        """Read until the client closes the connection, except for /closed."""
        while (received := self.request.recv(65_536)) and b" /closed " not in received:
            pass


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx in front of a server that sends no response. It waits 1 s for each, and is busy at /busy."""
    patience = ("proxy_read_timeout 15s;", f"proxy_read_timeout {SILENT_S}s;")
    busy = ("location = /metrics {", "location = /busy { return 503; } location = /metrics {")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever).start()
        port = upstream.server_address[1]
        with run_nginx(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("nginx"), patience, busy) as nginx:
            shutil.rmtree(nginx.folder / "client_body")  # nginx cannot store a body of more than 128 KiB
            yield nginx
        upstream.shutdown()


class Case(NamedTuple):
    """A request to which nginx itself responds. `{}` is the place of the Origin."""

    name: str
    status: int
    request: str
    type: str


def case(name: str, status: int, code: str, request: str) -> Case:
    return Case(name, status, request.replace("\n", "\r\n"), f"urn:todo:problem:{code}")


CASES = [
    case("malformed request line", 400, "unreadable", "GARBAGE\n\n"),
    case("unknown version (505)", 400, "unreadable", "GET / HTTP/3.1\n{}Host: x\n\n"),
    case("no Host", 400, "unreadable", "GET / HTTP/1.1\n{}\n"),
    case("malformed header", 400, "unreadable", "GET / HTTP/1.1\n{}Host: x\nContent-Length: x\n\n"),
    case("unknown coding (501)", 400, "unreadable", "GET / HTTP/1.1\n{}Host: x\nTransfer-Encoding: x\n\n"),
    case("metrics", 404, "not-found", "GET /metrics HTTP/1.1\n{}Host: x\n\n"),
    case("TRACE", 405, "method-not-allowed", "TRACE / HTTP/1.1\n{}Host: x\n\n"),
    case("long body", 413, "too-large", "POST / HTTP/1.1\n{}Host: x\nContent-Length: 2000000\n\n"),
    case("long path", 414, "uri-too-long", f"GET /{'x' * 40_000} HTTP/1.1\n{{}}Host: x\n\n"),
    case(
        "long header (494)", 431, "headers-too-large", f"GET / HTTP/1.1\n{{}}Host: x\nA: {'x' * 40_000}\n\n"
    ),
    case(
        "no folder for a body",
        500,
        "internal-error",
        f"POST / HTTP/1.1\n{{}}Host: x\nContent-Length: 200000\n\n{'x' * 200_000}",
    ),
    case("closed connection (502)", 503, "unavailable", "GET /closed HTTP/1.1\n{}Host: x\n\n"),
    case("busy", 503, "unavailable", "GET /busy HTTP/1.1\n{}Host: x\n\n"),
    case("no response (504)", 503, "unavailable", "GET /page.html HTTP/1.1\n{}Host: x\n\n"),
]
# nginx reads no header of these.
WITHOUT_ORIGIN = {"malformed request line", "unknown version (505)", "long path"}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def send(nginx: Nginx, case: Case, origin: str | None = None) -> RawResponse:
    line = f"Origin: {origin}\r\n" if origin else ""
    return exchange(nginx.url, case.request.replace("{}", line).encode())


@every_case
def test_error_of_nginx_is_a_problem_of_the_contract(nginx: Nginx, case: Case):
    response = send(nginx, case)
    body = json.loads(response.body)
    assert (response.status, body["status"], body["type"]) == (case.status, case.status, case.type)
    assert (STATUSES[body["type"]], TITLES[body["type"]]) == (body["status"], body["title"])
    assert find_violations(body, PROBLEM) == []
    assert body["request_id"] == response.headers["x-request-id"]
    expected = {
        "content-type": "application/problem+json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "vary": "Authorization, Origin",
    }
    assert response.headers | expected == response.headers
    assert ("retry-after" in response.headers) == (case.status == 503)


@every_case
def test_only_a_listed_origin_can_read_an_error_of_nginx(nginx: Nginx, case: Case):
    name = "access-control-allow-origin"
    expected = None if case.name in WITHOUT_ORIGIN else LISTED
    assert send(nginx, case, LISTED).headers.get(name) == expected
    for other in (None, "null", f"{LISTED}.evil.example", LISTED.replace("https", "http"), f"{LISTED}:8443"):
        assert name not in send(nginx, case, other).headers, other


def test_405_of_nginx_names_the_methods_of_the_contract(nginx: Nginx):
    [trace] = [case for case in CASES if case.name == "TRACE"]
    methods = {method.upper() for item in CONTRACT["paths"].values() for method in METHODS if method in item}
    assert {*send(nginx, trace).headers["allow"].split(", ")} == methods | {"HEAD"}


@pytest.mark.parametrize("path", ["/closed", "/silent"])
def test_unknown_outcome_of_a_write_is_told(nginx: Nginx, path: str):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        detail = detail_of(nginx, method, path)
        assert "It is not known" in detail
        assert {"Idempotency-Key", "If-Match"} <= {*re.findall(r"[A-Z][A-Za-z]+-[A-Z][A-Za-z]+", detail)}
    assert "not known" not in detail_of(nginx, "GET", path)


def detail_of(nginx: Nginx, method: str, path: str) -> str:
    response = exchange(
        nginx.url, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert response.status == 503
    return str(json.loads(response.body)["detail"])


def test_log_of_nginx_has_the_request_id_and_no_path(nginx: Nginx):
    response = exchange(nginx.url, b"GET /silent?secret HTTP/1.1\r\nHost: x\r\n\r\n")
    request_id = response.headers["x-request-id"]

    def find_lines() -> list[str]:
        log = (nginx.folder / "problems.log").read_text(encoding="utf-8")
        return [line for line in log.splitlines() if request_id in line]

    assert eventually(lambda: find_lines() != [], within_s=5)  # nginx writes it after the response
    [line] = find_lines()
    assert " 503 127.0.0.1 upstream=504" in line
    assert "secret" not in line
