"""Requests from browsers: the origins of CORS_ORIGINS may send and read everything, other origins nothing."""

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import User

pytestmark = on_sqlite

ORIGIN = "http://localhost:3000"  # the default of CORS_ORIGINS
OTHER_ORIGINS = [
    "http://evil.example", "http://localhost:3001", "https://localhost:3000",
    "http://localhost:3000.evil.example", "http://evil.example:3000", "http://localhost",
    "http://LOCALHOST:3000/", "null", "*",
]  # fmt: skip
REQUEST_HEADERS = {
    "authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "traceparent",
    "tracestate",
}  # fmt: skip
RESPONSE_HEADERS = {
    "etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id",
}  # fmt: skip


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


def send_preflight(user: User, method: str, headers: str = "", origin: str = ORIGIN) -> httpx.Response:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        fields["Access-Control-Request-Headers"] = headers
    return user.http.options(user.tasks, headers=fields)


def test_preflight_allows_every_method_and_header_of_the_contract(ada: User):
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        response = send_preflight(ada, method, ",".join(REQUEST_HEADERS))
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-allow-credentials"] == "true"
        assert method.lower() in words(response.headers["access-control-allow-methods"])
        assert words(response.headers["access-control-allow-headers"]) >= REQUEST_HEADERS


def test_preflight_for_another_method_or_header_is_403(ada: User):
    assert send_preflight(ada, "TRACE").status_code == 403
    assert send_preflight(ada, "GET", "x-user-id").status_code == 403


def test_every_response_can_be_read_by_an_allowed_origin(ada: User):
    path = f"/{ada.create_task()['id']}"
    origin = {"Origin": ORIGIN}
    responses = [
        ada.request("GET", headers=origin),
        ada.request("POST", json={"title": "Buy oats"}, headers=origin),
        ada.request("GET", path, headers=origin | {"If-None-Match": "*"}),
        ada.request("HEAD", path, headers=origin),
        ada.request("DELETE", path, headers=origin),
        ada.request("GET", "?undeclared=1", headers=origin),
        ada.http.get(ada.tasks, headers=origin),
        ada.http.get("/api/someone-else/tasks", headers=ada.headers | origin),
        ada.request("GET", path, headers=origin),
        ada.request("PUT", headers=origin),
        ada.request("POST", content=b"x", headers=origin),
        ada.request("GET", headers=origin | {f"X-{number}": "x" for number in range(101)}),
    ]
    statuses = [response.status_code for response in responses]
    assert statuses == [200, 201, 304, 200, 204, 400, 401, 403, 404, 405, 415, 431]
    for response in responses:
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-allow-credentials"] == "true"
        assert words(response.headers["access-control-expose-headers"]) >= RESPONSE_HEADERS


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_another_origin_can_send_and_read_nothing(ada: User, origin: str):
    preflight = send_preflight(ada, "GET", origin=origin)
    assert (preflight.status_code, preflight.json()["type"]) == (403, "urn:todo:problem:preflight-refused")
    for response in (preflight, ada.request("GET", headers={"Origin": origin})):
        assert "access-control-allow-origin" not in response.headers
