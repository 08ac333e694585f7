"""A table `users` that another program has in the database: tasks refer to it, and nothing writes to it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from persistence import schema
from persistence.database import Database
from tests.support.contract_checks import open_client
from tests.support.databases import run_on
from tests.support.server import Server, eventually, open_engine, run_server
from tests.support.users import SECRET, User, sign_token

CREATE = """CREATE TABLE users (
    id {id_type} PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, created_at text NOT NULL)"""
ROWS = [("ada", "Ada", "ada@example.com", "2026"), ("bob", "Bob", "bob@example.com", "2026")]
CREDENTIALS = {"email": "ada@example.com", "password": "three green parrots"}


def create_users(url: str, id_type: str, rows: list[tuple[str, ...]]) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(text(CREATE.format(id_type=id_type)))
        for row in rows:
            connection.execute(text(f"INSERT INTO users VALUES {row}"))
    engine.dispose()


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str]) -> str:
    """The URL of a database in which Ada and Bob are users of another program."""
    url = new_database()
    create_users(url, "text", ROWS)
    return url


@pytest.fixture(scope="module")
def server(url: str, folder: Path) -> Iterator[Server]:
    """A server on that database. Another program signs the tokens."""
    with run_server(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with open_client(server.url) as client:
        yield client


def select(server: Server, sql: str) -> list[tuple[Any, ...]]:
    with server.database() as database:
        return [tuple(row) for row in database.execute(text(sql))]


def test_only_users_in_the_table_have_tasks(server: Server, http: httpx.Client):
    ada, eve = (User(http, name, sign_token(name)) for name in ("ada", "eve"))
    task = ada.create_task()
    assert ada.get().json() == [task]
    assert eve.post({"title": "Buy milk"}).status_code == 401
    assert eve.post_with_key("one").status_code == 401
    assert select(server, "SELECT * FROM users ORDER BY id") == ROWS


def test_tasks_and_keys_of_a_deleted_user_are_deleted(server: Server, http: httpx.Client):
    with server.database() as database:
        for name in ("carl", "dora"):
            database.execute(text(f"INSERT INTO users VALUES ('{name}', '', '{name}@example.com', '')"))
        carl, dora = (User(http, name, sign_token(name)) for name in ("carl", "dora"))
        first = {user: user.post_with_key("one") for user in (carl, dora)}
        database.execute(text("DELETE FROM users WHERE id = 'carl'"))
    for table in ("tasks", "idempotency_keys"):
        assert select(server, f"SELECT count(*) FROM {table} WHERE user_id = 'carl'") == [(0,)]
    assert dora.get().json() == [first[dora].json()]
    assert dora.post_with_key("one").content == first[dora].content


def test_signup_and_login_are_404_and_name_the_table(url: str, folder: Path):
    with run_server(folder, DATABASE_URL=url) as server, open_client(server.url) as http:
        before = select(server, "SELECT * FROM users ORDER BY id")
        for path in ("signup", "login"):
            response = http.post(f"/api/auth/{path}", json=CREDENTIALS)
            assert response.status_code == 404
            assert "table users" in response.json()["detail"]
        assert select(server, "SELECT * FROM users ORDER BY id") == before


def test_ids_that_are_not_text_are_named_in_the_log(
    new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
):
    url = new_database()
    create_users(url, "integer", [])

    def records() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == "todo.schema"]

    async def try_until_it_is_logged(database: Database) -> None:
        trying = asyncio.create_task(schema.prepare(database, may_migrate=True))
        await asyncio.to_thread(eventually, lambda: records() != [], 10)
        trying.cancel()

    run_on(url, try_until_it_is_logged)
    record = records()[0]
    assert "the table users is another program's and its ids are INTEGER" in vars(record)["reason"]
    assert (record.levelname, record.exc_info) == ("ERROR", None)
