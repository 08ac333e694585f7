"""People of a frontend that mints its own HS256 tokens with Better Auth's secret have their tasks here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.ecosystem.better_auth.frontend import Frontend, Visitor, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.task_lifecycle import live_through_a_task, see_nothing_of
from tests.support.users import SECRET, User


@pytest.fixture(scope="module")
def frontend(store: dict[str, str], folder: Path) -> Iterator[Frontend]:
    with better_auth(folder, **store) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def todo(new_database: Callable[[], str], folder: Path) -> Iterator[httpx.Client]:
    """The todo backend that has the same secret."""
    with (
        run_server(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET) as server,
        open_client(server.url) as http,
    ):
        yield http


def arrives(visitor: Visitor, todo: httpx.Client) -> User:
    """They call the todo backend with a token of the frontend's own route."""
    return visitor.at(todo, visitor.shared_secret_token())


def test_whole_life_of_a_task(frontend: Frontend, todo: httpx.Client):
    live_through_a_task(arrives(frontend.visitor(), todo))


def test_two_people_cannot_see_each_other(frontend: Frontend, todo: httpx.Client):
    see_nothing_of(arrives(frontend.visitor("ada"), todo), stranger=arrives(frontend.visitor("bob"), todo))


def test_token_made_with_another_secret_is_401(todo: httpx.Client, folder: Path):
    with better_auth(folder, BETTER_AUTH_SECRET=SECRET[::-1]) as other:
        assert arrives(other.visitor(), todo).get().status_code == 401


def test_secret_given_to_the_jwt_plugin_changes_nothing_and_its_token_is_401(
    todo: httpx.Client, folder: Path
):
    # Widely copied, and not an option of the plugin, which says nothing and signs with a key of its own.
    with better_auth(folder, jwt_options={"secret": SECRET, "algorithm": "HS256"}) as mistaken:
        ada = mistaken.visitor()
        token = ada.token()
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert ada.at(todo, token).get().status_code == 401
