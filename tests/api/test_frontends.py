"""Real input: the requests that public frontends of this API send, as they send them."""

from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.users import User

ORIGIN = "http://localhost:3000"  # where Next.js serves a frontend under development
JSON = {"Content-Type": "application/json"}
EMPTY = {"Content-Length": "0"}
TICK = "/{id}/complete"


class Shape(NamedTuple):
    """A request on Ada's one task, pending, "Buy milk", "Two litres"; and what of the answer they read."""

    method: str
    path: str  # below /api/ada/tasks
    headers: dict[str, str]
    body: str | None
    status: int
    reads: dict[str, Any]


SHAPES = {
    "create, from a form with a title only": Shape(
        "POST", "", JSON, '{"title": "Buy oats"}',
        201, {"title": "Buy oats", "description": None, "completed": False}),
    "create, with an empty description": Shape(
        "POST", "", JSON, '{"title": "Buy oats", "description": ""}',
        201, {"title": "Buy oats", "description": ""}),
    "create, saying whose": Shape(
        "POST", "", JSON, '{"user_id": "someone-else", "title": "Buy oats", "completed": false}',
        201, {"title": "Buy oats", "completed": False}),
    "create, with fields of another backend": Shape(
        "POST", "", JSON,
        '{"title": "Buy oats", "priority": "high", "dueDate": "2026-12-01", "tags": ["home"]}',
        201, {"title": "Buy oats"}),
    "create, with fetch's own spelling of the type": Shape(
        "POST", "", {"Content-Type": "application/json;charset=UTF-8"}, '{"title": "Buy oats"}',
        201, {"title": "Buy oats"}),
    "edit, title and description": Shape(
        "PUT", "/{id}", JSON, '{"title": "Buy oats", "description": "One bag"}',
        200, {"title": "Buy oats", "description": "One bag", "completed": False}),
    "edit, title only": Shape(
        "PUT", "/{id}", JSON, '{"title": "Buy oats"}',
        200, {"title": "Buy oats", "description": "Two litres", "completed": False}),
    "edit, the whole task sent back": Shape(
        "PUT", "/{id}", JSON,
        '{"id": 1, "user_id": "x", "title": "Buy oats", "description": "Two litres", "completed": true,'
        ' "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}',
        200, {"title": "Buy oats", "description": "Two litres", "completed": True}),
    "edit, with fields of another backend": Shape(
        "PUT", "/{id}", JSON, '{"title": "Buy oats", "priority": "low", "dueDate": null, "tags": []}',
        200, {"title": "Buy oats", "description": "Two litres"}),
    "tick, nothing sent": Shape("PATCH", TICK, {}, None, 200, {"completed": True}),
    "tick, no body but its type": Shape("PATCH", TICK, JSON, None, 200, {"completed": True}),
    "tick, an empty body": Shape("PATCH", TICK, EMPTY, None, 200, {"completed": True}),
    "tick, an empty body and its type": Shape("PATCH", TICK, EMPTY | JSON, None, 200, {"completed": True}),
    "tick, an empty object": Shape("PATCH", TICK, JSON, "{}", 200, {"completed": True}),
    "tick, saying so": Shape("PATCH", TICK, JSON, '{"completed": true}', 200, {"completed": True}),
    "untick, saying so": Shape("PATCH", TICK, JSON, '{"completed": false}', 200, {"completed": False}),
    "read one": Shape("GET", "/{id}", {}, None, 200, {"title": "Buy milk", "description": "Two litres"}),
    "read one, with a type for no body": Shape("GET", "/{id}", JSON, None, 200, {"title": "Buy milk"}),
    "delete": Shape("DELETE", "/{id}", {}, None, 204, {}),
    "delete, with a type for no body": Shape("DELETE", "/{id}", JSON, None, 204, {}),
}  # fmt: skip


def send(person: User, shape: Shape, task_id: int) -> httpx.Response:
    """Exactly `shape`: httpx would add a Content-Length of its own where the frontend sends none."""
    url = person.tasks + shape.path.format(id=task_id)
    headers = person.headers | shape.headers
    request = person.http.build_request(shape.method, url, headers=headers, content=shape.body)
    if shape.body is None and "Content-Length" not in shape.headers:
        request.headers.pop("Content-Length", None)
    return person.http.send(request)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_request_of_a_frontend_works(ada: User, shape: Shape):
    task = ada.create_task(description="Two litres")
    answer = send(ada, shape, task["id"])
    assert answer.status_code == shape.status, answer.text
    if answer.content:
        assert answer.json().keys() == task.keys()
        assert answer.json().items() >= (shape.reads | {"user_id": ada.id}).items()


def test_double_click_that_says_so_ticks_once(ada: User):
    task = ada.create_task()
    for _ in range(2):
        assert send(ada, SHAPES["tick, saying so"], task["id"]).json()["completed"] is True


@pytest.mark.parametrize("sort", ["created", "title", "updated"])
@pytest.mark.parametrize(("status", "expected"), [("all", 2), ("pending", 1), ("completed", 1)])
def test_list_is_the_bare_array_a_frontend_asks_for(ada: User, sort: str, status: str, expected: int):
    ada.create_task("done", completed=True)
    ada.create_task("open")
    tasks = ada.get(status=status, sort=sort).json()
    assert isinstance(tasks, list)
    assert len(tasks) == expected


# What goes wrong: they send a person without a token to sign in, and show `detail`.


def test_missing_token_is_401_and_says_how_to_sign_in(ada: User):
    answer = ada.http.get(ada.tasks)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("sent", ["Bearer", "Bearer undefined", "Bearer null", "Bearer [object Object]"])
def test_token_that_the_frontend_lost_is_401(ada: User, sent: str):
    answer = ada.http.get(ada.tasks, headers={"Authorization": sent})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


def test_detail_of_every_problem_is_a_sentence(ada: User):
    answers = [
        ada.http.get(ada.tasks),
        ada.http.get("/api/someone-else/tasks", headers=ada.headers),
        ada.get("/1"),
        ada.get("/nothing/here"),
        ada.request("DELETE"),
        ada.post({"title": ""}),
        ada.request("POST", content="x" * 70_000, headers=JSON),
        ada.request("POST", content="x", headers={"Content-Type": "text/plain"}),
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 404, 404, 405, 400, 413, 415]
    for answer in answers:
        assert isinstance(answer.json()["detail"], str)
        assert answer.json()["detail"].endswith(".")


# From the browser: another origin, credentials included.


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_preflight_from_the_frontend_is_granted(ada: User, method: str):
    asks = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = ada.http.options(ada.tasks, headers={"Origin": ORIGIN} | asks)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert method.lower() in words(answer.headers["access-control-allow-methods"])
    assert {"authorization", "content-type"} <= words(answer.headers["access-control-allow-headers"])


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 415), ("DELETE", 405)])
def test_every_answer_can_be_read_by_the_frontend(ada: User, method: str, status: int):
    answer = ada.request(method, content=b"x" if method == "POST" else None, headers={"Origin": ORIGIN})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert {"link", "location", "x-request-id", "retry-after"} <= words(
        answer.headers["access-control-expose-headers"]
    )
    assert "origin" in words(answer.headers["vary"])


def test_frontend_without_a_token_can_read_the_401(ada: User):
    answer = ada.http.get(ada.tasks, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, ORIGIN)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example",
     "http://LOCALHOST:3000/", "null"],
)  # fmt: skip
def test_another_origin_is_granted_nothing(ada: User, origin: str):
    preflight = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for answer in (
        ada.http.options(ada.tasks, headers=preflight),
        ada.request("GET", headers={"Origin": origin}),
    ):
        assert "access-control-allow-origin" not in answer.headers
