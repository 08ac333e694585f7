"""Users reach only their own tasks: the ownership matrix, and the order in which requests are rejected."""

from typing import Any

import httpx
import pytest

from tests.support.contract_checks import Operation
from tests.support.databases import on_sqlite
from tests.support.ownership_matrix import HEADS, OPERATIONS, PLACES, PLAIN, SENDERS, TwoUsers
from tests.support.users import User

JSON = {"Content-Type": "application/json"}
INVALID: dict[str, dict[str, Any]] = {
    "a body that breaks the schema": {"json": {"title": 7, "completed": "yes"}},
    "a body that is not JSON": {"content": b"{", "headers": JSON},
    "a body of another media type": {"content": b"x", "headers": {"Content-Type": "text/plain"}},
    "a body that is too large": {"content": b" " * 70_000, "headers": JSON},
    "an undeclared parameter": {"params": {"undeclared": "1"}},
    "a parameter that breaks the schema": {"params": {"limit": "0"}},
    "a malformed If-Match": {"headers": {"If-Match": "1"}},
    "a malformed Idempotency-Key": {"headers": {"Idempotency-Key": "a key"}},
}
UNKNOWN_USERS = ["no-user-has-this-id", "ADA", "%20", "-", "a%5Cb", "é", "x" * 500]


def send(http: httpx.Client, operation: Operation, user_id: str, **options: Any) -> httpx.Response:
    """Send the operation's first example, unless `options` say otherwise."""
    body = {} if operation.body is None else {"json": operation.body}
    path = operation.path.format(user_id=user_id, task_id=1) + operation.query
    return http.request(operation.method, path, **(body | options))


@pytest.mark.parametrize("operation", OPERATIONS + HEADS, ids=lambda found: f"{found.method} {found.id}")
def test_users_reach_only_their_own_tasks(two_users: TwoUsers, operation: Operation):
    assert two_users.find_failures([operation], SENDERS, PLACES, PLAIN) == []


def test_matrix_has_every_operation_on_tasks():
    verbs = ("list", "create", "get", "put", "patch", "complete", "delete")
    assert {operation.id for operation in OPERATIONS} >= {f"tasks.{verb}" for verb in verbs}


@on_sqlite
@pytest.mark.parametrize("invalid", INVALID)
def test_invalid_request_without_a_token_is_401_and_to_another_path_403(ada: User, invalid: str):
    options = {**INVALID[invalid]}
    sent = options.pop("headers", {})
    for operation in OPERATIONS:
        for headers, expected in (({}, 401), (ada.headers, 403)):
            response = send(ada.http, operation, "someone-else", headers=headers | sent, **options)
            assert response.status_code == expected, operation.id


@on_sqlite
def test_unknown_path_is_404_and_unknown_method_405_even_without_a_token(ada: User):
    assert ada.http.get(f"/api/{ada.id}/nothing").status_code == 404
    assert ada.http.put(ada.tasks).status_code == 405


@on_sqlite
def test_path_of_an_unknown_user_is_403_like_that_of_a_known_one(ada: User, bob: User):
    for operation in OPERATIONS:
        known = send(ada.http, operation, bob.id, headers=ada.headers)
        for user_id in UNKNOWN_USERS:
            unknown = send(ada.http, operation, user_id, headers=ada.headers)
            assert known.status_code == unknown.status_code == 403
            assert known.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


@on_sqlite
def test_missing_task_and_another_users_are_the_same_404(ada: User, bob: User):
    missing, bobs = ada.get(f"/{2**63 - 1}"), ada.get(f"/{bob.create_task()['id']}")
    assert missing.status_code == bobs.status_code == 404
    assert missing.json() | {"request_id": ""} == bobs.json() | {"request_id": ""}
