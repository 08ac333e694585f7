"""People of a real Better Auth have their tasks here, by the keys that it publishes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.ecosystem.better_auth.frontend import Frontend, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.task_lifecycle import live_through_a_task, see_nothing_of

PAYLOADS = {"the whole row": {}, "the email only": {"ONLY_EMAIL": "yes"}}


@pytest.fixture(scope="module", params=PAYLOADS.values(), ids=PAYLOADS)
def frontend(request: pytest.FixtureRequest, store: dict[str, str], folder: Path) -> Iterator[Frontend]:
    """A Better Auth server with each adapter, whose tokens carry this."""
    with better_auth(folder, **store, **request.param) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def todo(frontend: Frontend, new_database: Callable[[], str], folder: Path) -> Iterator[httpx.Client]:
    """The todo backend that takes its tokens."""
    with (
        run_server(folder, DATABASE_URL=new_database(), **frontend.as_issuer) as server,
        open_client(server.url) as http,
    ):
        yield http


def test_whole_life_of_a_task(frontend: Frontend, todo: httpx.Client):
    live_through_a_task(frontend.visitor().at(todo))


def test_token_after_signing_in_again_opens_the_same_tasks(frontend: Frontend, todo: httpx.Client):
    ada = frontend.visitor()
    task = ada.at(todo).create_task()
    ada.sign_in()
    assert ada.at(todo).get().json() == [task]


def test_two_people_cannot_see_each_other(frontend: Frontend, todo: httpx.Client):
    ada, bob = (frontend.visitor(name).at(todo) for name in ("ada", "bob"))
    see_nothing_of(ada, stranger=bob)
