"""Problems (RFC 9457): a sentence for people, and never what was sent."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.databases import on_sqlite
from tests.support.server import Server
from tests.support.users import User

pytestmark = on_sqlite

JSON = {"Content-Type": "application/json"}
TASK = b'{"title": "Buy milk"}'
CANARY = "canary-7f3a9c"
SENT: dict[str, tuple[int, str, str, dict[str, str], Any]] = {
    "title too long": (400, "POST", "", JSON, f'{{"title": "{CANARY * 20}"}}'),
    "title of the wrong type": (400, "POST", "", JSON, f'{{"title": ["{CANARY}"], "completed": "{CANARY}"}}'),
    "name of a member": (400, "POST", "", JSON, f'{{"{CANARY}": 1}}'),
    "name of two members": (400, "POST", "", JSON, f'{{"{CANARY}": 1, "{CANARY}": 2}}'),
    "not JSON": (400, "POST", "", JSON, f'{{"title": "{CANARY}'),
    "name of a parameter": (400, "GET", f"?{CANARY}=1", {}, None),
    "value of parameters": (400, "GET", f"?status={CANARY}&limit={CANARY}&order={CANARY}", {}, None),
    "cursor": (400, "GET", f"?cursor={CANARY}", {}, None),
    "entity tag": (400, "DELETE", "/1", {"If-Match": CANARY}, None),
    "idempotency key": (400, "POST", "", JSON | {"Idempotency-Key": f"{CANARY} x"}, TASK),
    "token": (401, "GET", "", {"Authorization": f"Bearer {CANARY}"}, None),
    "scheme": (401, "GET", "", {"Authorization": f"{CANARY} x"}, None),
    "id": (404, "GET", f"/{CANARY}", {}, None),
    "path": (404, "GET", f"/1/{CANARY}", {}, None),
    "request id": (404, "GET", "/1", {"X-Request-Id": CANARY, "X-Correlation-Id": CANARY}, None),
    "origin": (404, "GET", "/1", {"Origin": f"http://{CANARY}"}, None),
    "parameter of a method that the path does not have": (405, "TRACE", f"?{CANARY}", {}, None),
    "too large": (413, "POST", "", JSON, CANARY * 6000),
    "type": (415, "POST", "", {"Content-Type": f"application/{CANARY}"}, TASK),
    "charset": (415, "POST", "", {"Content-Type": f"application/json; charset={CANARY}"}, TASK),
    "coding": (415, "POST", "", JSON | {"Content-Encoding": CANARY}, TASK),
    "headers": (431, "GET", "", {f"X-{CANARY}-{number}": CANARY for number in range(101)}, None),
}
CREDENTIALS = {
    "email that is none": (400, "signup", CANARY, CANARY),
    "email with a space": (400, "signup", f"{CANARY}@example.com ", CANARY),
    "password too short": (400, "signup", f"{CANARY}@example.com", CANARY[:7]),
    "password over 256 characters": (400, "signup", f"{CANARY}@example.com", CANARY * 20),
    "password with NUL": (400, "login", f"{CANARY}@example.com", f"{CANARY}\0"),
    "password over 72 bytes": (422, "signup", f"{CANARY}@example.com", CANARY * 6),
    "common password": (422, "signup", f"{CANARY}@example.com", "iLoveYou"),
    "login": (401, "login", f"{CANARY}@example.com", CANARY),
}


def check_problem(response: httpx.Response, status: int) -> None:
    """Fail unless it is a problem of that status with nothing in it that was sent."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert CANARY[:7] not in f"{response.headers!r} {response.text}"
    problem = response.json()
    assert (problem["status"], problem["request_id"]) == (status, response.headers["x-request-id"])
    assert problem["detail"]
    assert ("errors" in problem) == (problem["type"] == "urn:todo:problem:invalid-request")


@pytest.mark.parametrize("name", SENT)
def test_problem_never_repeats_a_value_of_the_request(ada: User, name: str):
    status, method, path, headers, content = SENT[name]
    check_problem(ada.request(method, path, headers=headers, content=content), status)


def test_problem_never_repeats_the_user_of_the_path(ada: User):
    check_problem(ada.http.get(f"/api/{CANARY}/tasks", headers=ada.headers), 403)


@pytest.mark.parametrize("name", CREDENTIALS)
def test_problem_never_repeats_credentials(accounts: httpx.Client, name: str):
    status, path, email, password = CREDENTIALS[name]
    response = accounts.post(f"/api/auth/{path}", json={"email": email, "password": password})
    check_problem(response, status)


def test_internal_error_is_a_500_without_its_cause(secret_server: Server, ada: User):
    path = f"/{ada.create_task()['id']}"
    with secret_server.database() as database:
        statement = text("UPDATE tasks SET created_at = :no_time WHERE user_id = :owner")
        database.execute(statement, {"no_time": CANARY, "owner": ada.id})
    with httpx.Client(base_url=secret_server.url, verify=False) as http:  # the contract documents no 500
        check_problem(ada.on(http).get(path), 500)
    assert ada.delete(path).status_code == 204
