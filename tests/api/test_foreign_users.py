"""A table `users` that another program keeps in our database: tasks refer to it, and nothing writes to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.server import Server, eventually, open_engine, run_server
from tests.support.users import SECRET, User, sign_token

THEIRS = """CREATE TABLE users (
    id {id_type} PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, created_at text NOT NULL)"""
ROWS = [("ada", "Ada", "ada@example.com", "2026"), ("bob", "Bob", "bob@example.com", "2026")]


def run_on(database_url: str, *statements: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def shared(new_database: Callable[[], str]) -> str:
    """The URL of a database in which Ada and Bob are users of another program."""
    url = new_database()
    run_on(url, THEIRS.format(id_type="text"), *(f"INSERT INTO users VALUES {row}" for row in ROWS))
    return url


@pytest.fixture
def server(shared: str, folder: Path) -> Iterator[Server]:
    with run_server(folder, DATABASE_URL=shared, BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture
def people(server: Server) -> Iterator[dict[str, User]]:
    """Ada and Bob, and Eve whom that program does not know."""
    with open_client(server.url) as http:
        yield {name: User(http, name, sign_token(name)) for name in ("ada", "bob", "eve")}


def users_of(server: Server) -> list[tuple[str, ...]]:
    with server.database() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM users ORDER BY id"))]


def test_users_there_have_tasks_and_strangers_have_none(server: Server, people: dict[str, User]):
    task = people["ada"].create_task()
    assert people["ada"].get().json() == [task]
    assert people["eve"].post({"title": "Buy milk"}).status_code == 401
    assert users_of(server) == ROWS


def test_user_deleted_there_takes_their_tasks_along(server: Server, people: dict[str, User]):
    people["ada"].create_task()
    kept = people["bob"].create_task()
    with server.database() as connection:
        connection.execute(text("DELETE FROM users WHERE id = 'ada'"))
        assert connection.scalar(text("SELECT count(*) FROM tasks")) == 1
    assert people["bob"].get().json() == [kept]


@pytest.mark.parametrize("path", ["signup", "login"])
def test_accounts_are_404_with_the_reason(shared: str, folder: Path, path: str):
    credentials = {"email": "ada@example.com", "password": "three green parrots"}
    with run_server(folder, DATABASE_URL=shared) as server, open_client(server.url) as http:
        answer = http.post(f"/api/auth/{path}", json=credentials)
        assert answer.status_code == 404
        assert "table users" in answer.json()["detail"]
        assert users_of(server) == ROWS


def test_ids_that_tasks_cannot_refer_to_are_named_in_the_log(new_database: Callable[[], str], folder: Path):
    url = new_database()
    run_on(url, THEIRS.format(id_type="integer"))
    with run_server(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET) as server:
        reason = "the table users is another program's and its ids are INTEGER"
        assert eventually(lambda: reason in server.log, within_s=10)
        assert "Traceback" not in server.log
