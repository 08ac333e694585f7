"""A Better Auth opens tasks here when it is the one named in the settings, however much it looks like it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.ecosystem.better_auth.frontend import Frontend, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.task_lifecycle import live_through_a_task

AVATAR = "data:image/png;base64," + "iVBORw0KGgo/" * 680  # 8 kB


@pytest.fixture(scope="module")
def shared_store(new_postgresql: Callable[[], str]) -> dict[str, str]:
    """A database that two Better Auth servers may share, keys included."""
    return {"DATABASE_URL": new_postgresql()}


@pytest.fixture(scope="module")
def frontend(shared_store: dict[str, str], folder: Path) -> Iterator[Frontend]:
    with better_auth(folder, **shared_store) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def todo(frontend: Frontend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The todo backend that takes the tokens of `frontend`."""
    folder = tmp_path_factory.mktemp("todo")
    with run_server(folder, **frontend.as_issuer) as server, open_client(server.url) as http:
        yield http


def test_avatar_in_the_row_does_not_make_the_token_too_long(frontend: Frontend, todo: httpx.Client):
    ada = frontend.visitor(image=AVATAR)
    token = ada.token()
    assert len(AVATAR) < len(token) < 16 * 1024
    live_through_a_task(ada.at(todo, token))


def test_token_of_another_server_is_401(frontend: Frontend, todo: httpx.Client, folder: Path):
    frontend.visitor().at(todo).create_task()  # the keys are known
    with better_auth(folder) as other:
        assert other.visitor().at(todo).get().status_code == 401


def test_token_of_another_server_that_claims_the_same_origin_is_401(
    frontend: Frontend, todo: httpx.Client, folder: Path
):
    with better_auth(folder, BETTER_AUTH_URL=frontend.url) as other:
        token = other.visitor().token()
    assert claims(token)["iss"] == frontend.url
    assert get_tasks(todo, token).status_code == 401


def test_token_for_another_origin_is_401_though_the_keys_are_the_same(
    frontend: Frontend, todo: httpx.Client, shared_store: dict[str, str], folder: Path
):
    known = jwt.get_unverified_header(frontend.visitor().token())
    with better_auth(folder, **shared_store) as other:
        token = other.visitor().token()
    assert jwt.get_unverified_header(token) == known
    assert get_tasks(todo, token).status_code == 401


def claims(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})


def get_tasks(todo: httpx.Client, token: str) -> httpx.Response:
    path = f"/api/{claims(token)['sub']}/tasks"
    return todo.get(path, headers={"Authorization": f"Bearer {token}"})
