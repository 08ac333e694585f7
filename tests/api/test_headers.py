"""Headers that every response has, whatever its status: of caches, of proxies, and the id of the request."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import CONTRACT
from tests.support.databases import on_sqlite
from tests.support.raw_http import exchange
from tests.support.server import Server
from tests.support.users import MISSING, User

pytestmark = on_sqlite

PRIVATE, NO_STORE = "private, no-cache", "no-store"
ORIGIN = {"Origin": "http://localhost:3000"}
PREFLIGHT = {"Access-Control-Request-Method": "GET"}
TOO_MANY = {f"X-{number}": "x" for number in range(101)}
TASK: dict[str, Any] = {"json": {"title": "Buy oats"}}
WITH_GET = [path for path, item in CONTRACT["paths"].items() if "get" in item]
PUBLIC_PATHS = [path for path in WITH_GET if CONTRACT["paths"][path]["get"].get("security") == []]
# Each request is sent without and with an Origin.
RESPONSES: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "list": (200, "GET", "", {}),
    "create": (201, "POST", "", TASK),
    "get": (200, "GET", "/{id}", {}),
    "head": (200, "HEAD", "/{id}", {}),
    "put": (200, "PUT", "/{id}", TASK),
    "patch": (200, "PATCH", "/{id}", TASK),
    "complete": (200, "PATCH", "/{id}/complete", {}),
    "unchanged": (304, "GET", "/{id}", {"headers": {"If-None-Match": "*"}}),
    "unchanged, to HEAD": (304, "HEAD", "/{id}", {"headers": {"If-None-Match": "*"}}),
    "invalid": (400, "GET", "?undeclared", {}),
    "no token": (401, "GET", "", {"headers": {"Authorization": ""}}),
    "invalid token": (401, "GET", "", {"headers": {"Authorization": "Bearer nonsense"}}),
    "missing task": (404, "GET", f"/{MISSING}", {}),
    "missing task, to HEAD": (404, "HEAD", f"/{MISSING}", {}),
    "path with an encoded slash": (404, "GET", "/{id}%2F2", {}),
    "unknown path": (404, "GET", "/{id}/nothing", {}),
    "unknown method": (405, "TRACE", "", {}),
    "stale": (412, "DELETE", "/{id}", {"headers": {"If-Match": '"999"'}}),
    "too large": (413, "POST", "", {"content": b" " * 70_000}),
    "coded": (415, "POST", "", {"headers": {"Content-Encoding": "gzip"}}),
    "key reused": (422, "POST", "", TASK | {"headers": {"Idempotency-Key": "used"}}),
    "headers too large": (431, "GET", "", {"headers": TOO_MANY}),
}  # fmt: skip


@pytest.fixture
def task_id(ada: User) -> int:
    """The id of a task of Ada, created with the key `used`."""
    response = ada.post_with_key("used", {"title": "Buy milk"})
    return int(response.json()["id"])


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


def check_common(responses: list[httpx.Response], *, varies_by_origin: bool = True) -> None:
    """Check what every response has in common, with and without a body."""
    assert len({response.headers["x-request-id"] for response in responses}) == len(responses)
    for response in responses:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "server" not in response.headers
        assert "Origin" in words(response.headers["vary"]) or not varies_by_origin
        if response.status_code in {204, 304}:
            without = {"content-type", "content-length", "transfer-encoding", "location"}
            assert not without & {*response.headers}
        if response.is_error:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["cache-control"] == NO_STORE


@pytest.mark.parametrize("name", RESPONSES)
def test_response_is_for_one_user_and_has_an_id(ada: User, task_id: int, name: str):
    status, method, path, options = RESPONSES[name]
    url = ada.tasks + path.format(id=task_id)
    responses = []
    for origin in ({}, ORIGIN):
        headers = ada.headers | options.get("headers", {}) | origin
        responses.append(ada.http.request(method, url, **options | {"headers": headers}))
    assert [response.status_code for response in responses] == [status] * 2
    check_common(responses)
    for response in responses:
        assert "Authorization" in words(response.headers["vary"])
        assert response.headers["cache-control"] == (NO_STORE if status >= 400 else PRIVATE)


def test_response_to_delete_is_for_one_user_and_has_an_id(ada: User):
    responses = [ada.delete(f"/{ada.create_task()['id']}") for _ in range(2)]
    check_common(responses)
    for response in responses:
        assert {"Authorization", "Origin"} <= words(response.headers["vary"])
        assert response.headers["cache-control"] == PRIVATE


def test_response_to_a_preflight_has_an_id(ada: User):
    check_common([ada.http.options(ada.tasks, headers=ORIGIN | PREFLIGHT) for _ in range(2)])
    other = {"Origin": "http://evil.example"} | PREFLIGHT
    refused = [ada.http.options(ada.tasks, headers=other) for _ in range(2)]
    assert [response.status_code for response in refused] == [403, 403]
    check_common(refused, varies_by_origin=False)


def test_response_of_a_failing_server_has_an_id_and_is_not_stored(secret_server: Server, ada: User):
    path = ada.tasks + f"/{ada.create_task()['id']}"
    with secret_server.database() as database:
        statement = text("UPDATE tasks SET updated_at = 'no time' WHERE user_id = :owner")
        database.execute(statement, {"owner": ada.id})
    with httpx.Client(base_url=secret_server.url, verify=False) as http:  # the contract documents no 500
        responses = [http.get(path, headers=ada.headers | more) for more in ({}, ORIGIN)]
    assert [response.status_code for response in responses] == [500, 500]
    assert responses[1].headers["access-control-allow-origin"] == ORIGIN["Origin"]
    check_common(responses)


def test_response_to_what_is_not_http_has_an_id_and_is_not_stored(secret_server: Server):
    response = exchange(secret_server.url, b"GET\t/health/live HTTP/1.1\r\n\r\n")
    assert response.status == 400
    assert json.loads(response.body)["request_id"] == response.headers["x-request-id"]
    expected = {"cache-control": NO_STORE, "connection": "close", "x-content-type-options": "nosniff"}
    assert response.headers.items() >= expected.items()
    assert "server" not in response.headers


@pytest.mark.parametrize("path", [*PUBLIC_PATHS, "/docs/", "/docs/docs.js"])
def test_public_response_is_for_every_user(accounts: httpx.Client, path: str):
    responses = [accounts.get(path), accounts.get(path, headers=ORIGIN)]
    assert [response.status_code for response in responses] == [200, 200]
    check_common(responses)
    for response in responses:
        assert "Authorization" not in words(response.headers["vary"])
        is_state = path == "/health/ready"
        assert response.headers.get("cache-control", "") == (NO_STORE if is_state else "")


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/index.html", "/docs/docs.js", "/docs/docs.css", "/docs/swagger-ui.css"]
)
def test_docs_load_nothing_from_elsewhere_and_cannot_be_framed(accounts: httpx.Client, path: str):
    [policy], [again] = (accounts.get(path).headers.get_list("content-security-policy") for _ in range(2))
    assert again == policy
    directives = {name: sources for name, *sources in (part.split() for part in policy.split(";"))}
    for name in ("default-src", "frame-ancestors", "base-uri", "form-action"):
        assert directives[name] == ["'none'"], name
    for name in ("script-src", "style-src", "connect-src"):
        assert directives[name] == ["'self'"], name


@pytest.mark.parametrize("path", WITH_GET)
def test_head_has_the_headers_of_get_and_no_body(ada: User, path: str):
    url = path.format(user_id=ada.id, task_id=ada.create_task()["id"])
    head, get = (ada.http.request(method, url, headers=ada.headers) for method in ("HEAD", "GET"))
    for response in (head, get):
        for name in ("date", "x-request-id", "content-length"):  # the last differs for /metrics
            response.headers.pop(name, None)
    assert (head.status_code, head.headers) == (get.status_code, get.headers)
    assert get.content
    assert not head.content
