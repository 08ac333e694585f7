"""Better Auth's user table is named `users` and is there first: it is used as it is, and never written to.

Our tasks then belong to their rows: a user whom Better Auth deletes takes their tasks along.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.ecosystem.better_auth.frontend import PASSWORD, Frontend, as_issuer, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import find_free_port, run_server, wait_until_live
from tests.support.task_lifecycle import live_through_a_task, see_nothing_of

THEIR_USERS = {"user": {"modelName": "users"}}
CREDENTIALS = {"email": "ada@example.com", "password": PASSWORD}

# xmin and ctid change with every write to a row, be it to the same values.
EVERYTHING_THERE = (
    "SELECT xmin::text, ctid::text, users::text FROM users ORDER BY id",
    "SELECT to_jsonb(columns)::text FROM information_schema.columns WHERE table_name = 'users' ORDER BY 1",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'users'::regclass ORDER BY 1",
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY 1",
)


@pytest.fixture(scope="module")
def shared(new_postgresql: Callable[[], str]) -> str:
    """The URL of the database that both servers have."""
    return new_postgresql()


@pytest.fixture(scope="module")
def frontend(shared: str, folder: Path) -> Iterator[Frontend]:
    with better_auth(folder, options=THEIR_USERS, DATABASE_URL=shared) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def todo(frontend: Frontend, shared: str, folder: Path) -> Iterator[httpx.Client]:
    """The todo backend, which came second."""
    with (
        run_server(folder, DATABASE_URL=shared, **frontend.as_issuer) as server,
        open_client(server.url) as http,
    ):
        yield http


def everything_there(database_url: str) -> list[Any]:
    """Their table: its columns, its constraints and indexes, its rows with the marks of every write."""
    return [rows(database_url, query) for query in EVERYTHING_THERE]


def rows(database_url: str, query: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query).fetchall()


def test_our_migrations_leave_their_table_as_it_was(new_postgresql: Callable[[], str], folder: Path):
    shared = new_postgresql()
    with better_auth(folder, options=THEIR_USERS, DATABASE_URL=shared) as frontend:
        frontend.visitor()
        before = everything_there(shared)
        with run_server(folder, DATABASE_URL=shared, **frontend.as_issuer) as server:
            wait_until_live(server, path="/health/ready", timeout_s=10)
    assert everything_there(shared) == before


def test_whole_life_of_a_task_leaves_their_table_as_it_was(
    frontend: Frontend, todo: httpx.Client, shared: str
):
    ada, bob = (frontend.visitor(name).at(todo) for name in ("ada", "bob"))
    before = everything_there(shared)
    live_through_a_task(ada)
    see_nothing_of(ada, stranger=bob)
    assert everything_there(shared) == before


def test_task_of_someone_who_is_not_in_their_table_is_401_and_not_stored(
    frontend: Frontend, todo: httpx.Client, shared: str
):
    gone = frontend.visitor()
    late = gone.at(todo)
    gone.delete_user()
    before = everything_there(shared)
    assert late.post({"title": "Buy milk"}).status_code == 401
    assert late.get().json() == []
    assert everything_there(shared) == before


def test_user_deleted_there_takes_their_tasks_along_and_nobody_elses(
    frontend: Frontend, todo: httpx.Client, shared: str
):
    leaving, staying = frontend.visitor("ada"), frontend.visitor("bob").at(todo)
    leaving.at(todo).create_task()
    kept = staying.create_task()
    leaving.delete_user()
    assert rows(shared, f"SELECT id FROM tasks WHERE user_id = '{leaving.id}'") == []
    assert staying.get().json() == [kept]


@pytest.mark.parametrize("path", ["signup", "login"])
def test_accounts_are_404_and_said_to_be_with_the_issuer(todo: httpx.Client, path: str):
    answer = todo.post(f"/api/auth/{path}", json=CREDENTIALS)
    assert answer.status_code == 404
    assert "issuer" in answer.json()["detail"]


@pytest.fixture(scope="module")
def without_issuer(frontend: Frontend, shared: str, folder: Path) -> Iterator[httpx.Client]:
    """The todo backend as it would keep accounts itself, were the table not another's."""
    assert frontend.visitor()  # there is someone in it
    with run_server(folder, DATABASE_URL=shared) as server, open_client(server.url) as http:
        yield http


@pytest.mark.parametrize("path", ["signup", "login"])
def test_accounts_without_an_issuer_are_404_and_the_table_is_said_to_be_why(
    without_issuer: httpx.Client, shared: str, path: str
):
    before = everything_there(shared)
    answer = without_issuer.post(f"/api/auth/{path}", json=CREDENTIALS)
    assert answer.status_code == 404
    assert "users" in answer.json()["detail"]
    assert everything_there(shared) == before


def test_table_of_ours_that_better_auth_makes_its_own(new_postgresql: Callable[[], str], folder: Path):
    shared, port = {"DATABASE_URL": new_postgresql()}, find_free_port()
    with (
        run_server(folder, **shared, **as_issuer(f"http://127.0.0.1:{port}")) as server,
        better_auth(folder, port=port, options=THEIR_USERS, **shared) as frontend,
        open_client(server.url) as todo,
    ):
        ada, bob = (frontend.visitor(name) for name in ("ada", "bob"))
        live_through_a_task(ada.at(todo))
        see_nothing_of(bob.at(todo), stranger=ada.at(todo))
        late = bob.at(todo)
        bob.delete_user()
        assert late.get().json() == []
        assert late.post({"title": "Buy milk"}).status_code == 401
