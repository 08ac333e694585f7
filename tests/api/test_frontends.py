"""Requests as public frontends of this API send them, and the parts of the responses that they read."""

from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import User

JSON = {"Content-Type": "application/json"}
EMPTY = {"Content-Length": "0"}
COMPLETE = "/{id}/complete"


class Request(NamedTuple):
    """A request about Ada's one task, pending, "Buy milk", "Two litres"; and the fields that they read."""

    method: str
    path: str  # below /api/ada/tasks
    headers: dict[str, str]
    body: str | None
    status: int
    fields: dict[str, Any]


REQUESTS = {
    "create, from a form with a title only": Request(
        "POST", "", JSON, '{"title": "Buy oats"}',
        201, {"title": "Buy oats", "description": None, "completed": False}),
    "create, with an empty description": Request(
        "POST", "", JSON, '{"title": "Buy oats", "description": ""}',
        201, {"title": "Buy oats", "description": ""}),
    "create, with another user's id": Request(
        "POST", "", JSON, '{"user_id": "someone-else", "title": "Buy oats", "completed": false}',
        201, {"title": "Buy oats", "completed": False}),
    "create, with fields of another backend": Request(
        "POST", "", JSON,
        '{"title": "Buy oats", "priority": "high", "dueDate": "2026-12-01", "tags": ["home"]}',
        201, {"title": "Buy oats"}),
    "create, with the charset that fetch adds": Request(
        "POST", "", {"Content-Type": "application/json;charset=UTF-8"}, '{"title": "Buy oats"}',
        201, {"title": "Buy oats"}),
    "edit, title and description": Request(
        "PUT", "/{id}", JSON, '{"title": "Buy oats", "description": "One bag"}',
        200, {"title": "Buy oats", "description": "One bag", "completed": False}),
    "edit, title only": Request(
        "PUT", "/{id}", JSON, '{"title": "Buy oats"}',
        200, {"title": "Buy oats", "description": "Two litres", "completed": False}),
    "edit, the whole task sent back": Request(
        "PUT", "/{id}", JSON,
        '{"id": 1, "user_id": "x", "title": "Buy oats", "description": "Two litres", "completed": true,'
        ' "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}',
        200, {"title": "Buy oats", "description": "Two litres", "completed": True}),
    "edit, with fields of another backend": Request(
        "PUT", "/{id}", JSON, '{"title": "Buy oats", "priority": "low", "dueDate": null, "tags": []}',
        200, {"title": "Buy oats", "description": "Two litres"}),
    "toggle, no body": Request("PATCH", COMPLETE, {}, None, 200, {"completed": True}),
    "toggle, no body but its type": Request("PATCH", COMPLETE, JSON, None, 200, {"completed": True}),
    "toggle, an empty body": Request("PATCH", COMPLETE, EMPTY, None, 200, {"completed": True}),
    "toggle, an empty body and its type": Request(
        "PATCH", COMPLETE, EMPTY | JSON, None, 200, {"completed": True}),
    "toggle, an empty object": Request("PATCH", COMPLETE, JSON, "{}", 200, {"completed": True}),
    "complete": Request("PATCH", COMPLETE, JSON, '{"completed": true}', 200, {"completed": True}),
    "uncomplete": Request("PATCH", COMPLETE, JSON, '{"completed": false}', 200, {"completed": False}),
    "get": Request("GET", "/{id}", {}, None, 200, {"title": "Buy milk", "description": "Two litres"}),
    "get, with a type for no body": Request("GET", "/{id}", JSON, None, 200, {"title": "Buy milk"}),
    "delete": Request("DELETE", "/{id}", {}, None, 204, {}),
    "delete, with a type for no body": Request("DELETE", "/{id}", JSON, None, 204, {}),
}  # fmt: skip


def send(user: User, request: Request, task_id: int) -> httpx.Response:
    """Send exactly the request: httpx would add a Content-Length that the frontend does not send."""
    url = user.tasks + request.path.format(id=task_id)
    headers = user.headers | request.headers
    built = user.http.build_request(request.method, url, headers=headers, content=request.body)
    if request.body is None and "Content-Length" not in request.headers:
        built.headers.pop("Content-Length", None)
    return user.http.send(built)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_request_of_a_frontend_succeeds(ada: User, request_: Request):
    task = ada.create_task(description="Two litres")
    response = send(ada, request_, task["id"])
    assert response.status_code == request_.status, response.text
    if response.content:
        assert response.json().keys() == task.keys()
        assert response.json().items() >= (request_.fields | {"user_id": ada.id}).items()


@on_sqlite
def test_missing_token_is_401_and_names_the_scheme(ada: User):
    response = ada.http.get(ada.tasks)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


@on_sqlite
def test_token_that_the_frontend_lost_is_401(ada: User):
    for sent in ("Bearer", "Bearer undefined", "Bearer null", "Bearer [object Object]"):
        response = ada.http.get(ada.tasks, headers={"Authorization": sent})
        found = response.status_code, response.headers["www-authenticate"]
        assert found == (401, 'Bearer error="invalid_token"'), sent
