"""While Better Auth rotates its keys, requests here go on.

Better Auth publishes a key at the moment of the first signature, so a token can arrive here before its key is
known. The promise: from 2 seconds after the first token with a new key, no token with it is rejected. A token
with an older key is never rejected.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import httpx
import jwt
import pytest

from tests.ecosystem.better_auth.frontend import Visitor, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.users import User

ROTATION_S = 3  # more than the 2 s that may pass between two fetches of the keys
DURATION_S = 3 * ROTATION_S  # at least two rotations
ACCEPTED_WITHIN_S = 2
PAUSE_S = 0.05
USERS = 3


class Sent(NamedTuple):
    """A request that was sent here with a token of the key `kid`."""

    kid: str
    sent_at: float
    status: int


@pytest.fixture(scope="module")
def requests(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    """The requests of several users during two rotations or more."""
    database = f"sqlite:///{tmp_path_factory.mktemp('rotation') / 'todo.db'}"
    with (
        better_auth(folder, jwt_options={"jwks": {"rotationInterval": ROTATION_S}}) as frontend,
        run_server(folder, DATABASE_URL=database, **frontend.as_issuer) as server,
        open_client(server.url) as todo,
        ThreadPoolExecutor(USERS) as threads,
    ):
        visitors = [frontend.visitor() for _ in range(USERS)]
        until = time.monotonic() + DURATION_S
        sent = threads.map(lambda visitor: list(send_until(until, todo, visitor)), visitors)
        return list(chain.from_iterable(sent))


def send_until(until: float, todo: httpx.Client, visitor: Visitor) -> Iterator[Sent]:
    """Write with a new token and read with the first one, in turn."""
    first = visitor.token()
    while time.monotonic() < until:
        yield send(visitor.on(todo), "POST")
        yield send(visitor.on(todo, first), "GET")
        time.sleep(PAUSE_S)


def send(user: User, method: str) -> Sent:
    kid, sent_at = jwt.get_unverified_header(user.token)["kid"], time.monotonic()
    response = user.request(method, json={"title": "Buy milk"} if method == "POST" else None)
    return Sent(kid, sent_at, response.status_code)


@pytest.fixture(scope="module")
def first_use(requests: list[Sent]) -> dict[str, float]:
    """When each key was first used here."""
    latest_first = sorted(requests, key=lambda request: request.sent_at, reverse=True)
    return {request.kid: request.sent_at for request in latest_first}


def test_keys_are_rotated_twice(first_use: dict[str, float]):
    # By their times, not by their number: each rotation makes several keys when several users sign at once.
    assert max(first_use.values()) - min(first_use.values()) > 1.5 * ROTATION_S


def test_request_is_rejected_only_because_its_key_is_too_new(
    requests: list[Sent], first_use: dict[str, float]
):
    assert {request.status for request in requests} <= {200, 201, 401}
    late = [request for request in requests if request.sent_at > first_use[request.kid] + ACCEPTED_WITHIN_S]
    assert {request.status for request in late} == {200, 201}


def test_token_from_before_the_rotations_is_never_rejected(requests: list[Sent]):
    oldest = min(requests, key=lambda request: request.sent_at).kid
    assert {request.status for request in requests if request.kid == oldest} == {200, 201}
