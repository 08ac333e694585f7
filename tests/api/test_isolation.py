"""Nobody reaches what is another's: everyone, at every operation of the contract, on every kind of path."""

from itertools import product
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.contract_checks import Operation
from tests.support.places import OPERATIONS, PLACES, places_of, success
from tests.support.users import MISSING, User, new_user


class Home(NamedTuple):
    """A person, a task of theirs, and the words in it that nobody else may read."""

    person: User
    task_id: int
    canary: str

    def rows(self) -> bytes:
        return self.person.get().content


def home(http: httpx.Client, name: str) -> Home:
    person = new_user(http, name)
    canary = f"the-canary-of-{person.id}-sings"
    return Home(person, person.create_task(canary, description=canary)["id"], canary)


SIGNED_IN, OUTSIDE = ("ada", "bob"), ("nobody", "garbage token")

MATRIX = [
    pytest.param(who, operation, place, id=f"{who}-{operation.id}-{place}")
    for who, operation in product([*SIGNED_IN, *OUTSIDE], OPERATIONS)
    for place in places_of(operation)
]


def ask(
    http: httpx.Client,
    operation: Operation,
    user_id: str,
    task_id: int,
    headers: dict[str, str],
    **options: Any,
) -> httpx.Response:
    url = operation.path.format(user_id=user_id, task_id=task_id)
    body = {} if operation.body is None else {"json": operation.body}
    return http.request(operation.method, url, headers=headers, **(body | options))


def test_matrix_covers_the_contract():
    verbs = "list", "create", "get", "put", "patch", "complete", "delete"
    assert {operation.id for operation in OPERATIONS} >= {f"tasks.{verb}" for verb in verbs}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_contract_asks_for_a_token_on_every_users_path(operation: Operation):
    assert operation.security, f"{operation.id} has {{user_id}} in its path but no security"
    assert all(operation.security), f"{operation.id} lets anonymous users in beside those with a token"


@pytest.mark.parametrize(("who", "operation", "place"), MATRIX)
def test_everyone_reaches_their_own_only(http: httpx.Client, who: str, operation: Operation, place: str):
    ada, bob = home(http, "ada"), home(http, "bob")
    own, other = (bob, ada) if who == "bob" else (ada, bob)
    before = ada.rows(), bob.rows()
    headers = {"nobody": {}, "garbage token": {"Authorization": "Bearer garbage"}}.get(
        who, own.person.headers
    )
    path_of, task_of, refusal = PLACES[place]
    user_id = {"own": own, "other's": other}[path_of].person.id
    task_id = {"own": own.task_id, "other's": other.task_id, "missing": MISSING}[task_of]

    answer = ask(http, operation, user_id, task_id, headers)

    assert answer.status_code == ((refusal or success(operation)) if who in SIGNED_IN else 401)
    after = ada.rows(), bob.rows()
    is_own = who in SIGNED_IN and answer.is_success
    for before_it, after_it, theirs in zip(before, after, (ada, bob), strict=True):
        if theirs is own and is_own:
            continue
        assert after_it == before_it, f"{theirs.person.id}'s tasks have changed"
        assert theirs.canary not in f"{answer.headers!r} {answer.text}"


WRONG = {
    "a body that breaks the schema": {"json": {"title": 7, "completed": "yes"}},
    "a body that is no JSON": {"content": b"{", "headers": {"Content-Type": "application/json"}},
    "a body of another type": {"content": b"x", "headers": {"Content-Type": "text/plain"}},
    "a body too large": {"content": b" " * 70_000, "headers": {"Content-Type": "application/json"}},
    "an undeclared parameter": {"params": {"undeclared": "1"}},
    "a parameter that breaks the schema": {"params": {"limit": "0"}},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_whose_path_it_is_comes_before_what_is_wrong(ada: User, operation: Operation, wrong: str):
    options = {**WRONG[wrong]}
    sent = options.pop("headers", {})
    for headers, expected in ((ada.headers, 403), ({}, 401)):
        answer = ask(ada.http, operation, "someone-else", 1, headers | sent, **options)
        assert answer.status_code == expected


@pytest.mark.parametrize("user_id", ["nobody-has-this-id", "ADA", "%20", "-", "a%5Cb", "é", "x" * 500])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_path_of_whoever_does_not_exist_is_403_too(ada: User, bob: User, operation: Operation, user_id: str):
    exists, does_not = (ask(ada.http, operation, of, 1, ada.headers) for of in (bob.id, user_id))
    assert exists.status_code == does_not.status_code == 403
    assert exists.json() | {"request_id": ""} == does_not.json() | {"request_id": ""}
