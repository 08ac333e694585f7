"""While Better Auth changes its keys, requests here go on.

A key is published the moment it first signs, not before, so a token can be here before its key is known.
The promise: from 2 seconds after the first token with a new key, no token with it is refused. Each
request is held to that by the time it was sent, and a token of an older key is never refused at all.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import httpx
import jwt
import pytest

from tests.ecosystem.better_auth.frontend import Visitor, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.users import User

ROTATION_S = 3  # more than the 2 s that may pass between two looks at the keys
WATCH_S = 3 * ROTATION_S  # over at least two rotations
TAKEN_UP_WITHIN_S = 2
PEOPLE = 4


@dataclass(frozen=True)
class Asked:
    """A request made here, with a token of the key `kid`."""

    kid: str
    sent_at: float
    status: int


@pytest.fixture(scope="module")
def asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    """Every request that several people made, all the time, over two rotations and more."""
    database = f"sqlite:///{tmp_path_factory.mktemp('rotation') / 'todo.db'}"
    with (
        better_auth(folder, jwt_options={"jwks": {"rotationInterval": ROTATION_S}}) as frontend,
        run_server(folder, DATABASE_URL=database, **frontend.as_issuer) as server,
        open_client(server.url) as todo,
        ThreadPoolExecutor(PEOPLE) as threads,
    ):
        visitors = [frontend.visitor() for _ in range(PEOPLE)]
        until = time.monotonic() + WATCH_S
        requests = threads.map(lambda visitor: list(keep_asking(todo, visitor, until=until)), visitors)
        return list(chain.from_iterable(requests))


def keep_asking(todo: httpx.Client, visitor: Visitor, *, until: float) -> Iterator[Asked]:
    """Writes with a fresh token and reads with the first one, in turn."""
    first = visitor.token()
    while time.monotonic() < until:
        yield ask(visitor.at(todo), "POST")
        yield ask(visitor.at(todo, first), "GET")


def ask(person: User, method: str) -> Asked:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    kid, sent_at = jwt.get_unverified_header(token)["kid"], time.monotonic()
    answer = person.request(method, json={"title": "Buy milk"} if method == "POST" else None)
    return Asked(kid, sent_at, answer.status_code)


def first_sent_at(asked: list[Asked]) -> dict[str, float]:
    """When each key was first seen here."""
    latest_first = sorted(asked, key=lambda request: request.sent_at, reverse=True)
    return {request.kid: request.sent_at for request in latest_first}


def test_keys_really_change_twice(asked: list[Asked]):
    # By their times, not their number: each rotation makes several keys when several people sign at once.
    first = first_sent_at(asked).values()
    assert max(first) - min(first) > 1.5 * ROTATION_S


def test_nothing_but_a_key_too_new_refuses_a_request(asked: list[Asked]):
    assert {request.status for request in asked} <= {200, 201, 401}


def test_new_key_is_taken_up_within_two_seconds(asked: list[Asked]):
    first = first_sent_at(asked)
    late = [request for request in asked if request.sent_at > first[request.kid] + TAKEN_UP_WITHIN_S]
    assert {request.status for request in late} == {200, 201}


def test_token_from_before_the_rotations_is_never_refused(asked: list[Asked]):
    oldest = min(asked, key=lambda request: request.sent_at).kid
    assert {request.status for request in asked if request.kid == oldest} == {200, 201}
