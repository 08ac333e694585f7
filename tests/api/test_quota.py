"""The maximum number of tasks of a user, and the space of stored responses."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from persistence import quota, users
from persistence.database import Database
from persistence.quota import Quota
from persistence.statements import Compiled, Parameters, Run
from tests.support.command_line import call_todo
from tests.support.contract_checks import open_client
from tests.support.databases import migrate
from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET, User, new_user

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MAX = 3


@pytest.fixture(scope="module")
def server(new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server with a limit of MAX tasks."""
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET, "MAX_TASKS_PER_USER": str(MAX)}
    with run_server(folder, **settings) as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Iterator[User]:
    """A user with MAX tasks, the first created with a key."""
    with open_client(server.url) as http:
        ada = new_user(http)
        assert ada.post_with_key("one").status_code == 201
        for _ in range(MAX - 1):
            ada.create_task()
        yield ada


def check_rejected(response: httpx.Response) -> None:
    assert (response.status_code, response.json()["type"]) == (422, "urn:todo:problem:too-many-tasks")
    assert f"{MAX} tasks" in response.json()["detail"]


def test_task_beyond_the_limit_is_422_and_not_stored(ada: User):
    check_rejected(ada.post({"title": "Buy bread"}))
    check_rejected(ada.post_with_key("two"))
    assert len(ada.get().json()) == MAX
    assert new_user(ada.http).post({"title": "Buy bread"}).status_code == 201


def test_retry_of_a_stored_request_succeeds_at_the_limit(ada: User):
    check_rejected(ada.post({"title": "Buy bread"}))
    assert ada.post_with_key("one").status_code == 201
    assert len(ada.get().json()) == MAX


def test_rejected_key_is_not_used(ada: User):
    check_rejected(ada.post_with_key("two"))
    assert ada.delete(f"/{ada.get().json()[0]['id']}").status_code == 204
    assert eventually(lambda: ada.post_with_key("two").status_code == 201, within_s=3)


def test_stored_responses_of_deleted_tasks_count(ada: User):
    for task in ada.get().json():
        ada.delete(f"/{task['id']}")
    for number in range(MAX - 1):
        created = ada.post_with_key(f"again {number}".replace(" ", "-"))
        assert ada.delete(f"/{created.json()['id']}").status_code == 204
    check_rejected(ada.post_with_key("last"))


def test_import_is_not_limited(server: Server, ada: User, folder: Path):
    lines = '{"title": "Buy rice"}\n' * 2 * MAX
    imported = call_todo(folder, "import", "--add", ada.id, given=lines, **server.settings)
    assert imported.output == f"imported {2 * MAX} of {2 * MAX} tasks\n", imported.errors


def test_large_limit_is_counted_at_every_256th_create(new_database: Callable[[], str]):
    url = new_database()
    migrate(url)
    counted = []

    def count(run: Run) -> Run:
        async def count_and_run(compiled: Compiled, parameters: Parameters) -> Any:
            counted.append(compiled.sql)
            return await run(compiled, parameters)

        return count_and_run

    async def create_often() -> None:
        database = Database(url, around=count)
        await users.create(database, "ada", email="ada@example.com", password_hash="x", now=NOW)
        counted.clear()
        limit = Quota(100_000)
        for _ in range(2 * quota.COUNT_EVERY + 1):
            await limit.check(database, "ada")
        await database.close()

    asyncio.run(create_often())
    assert len(counted) == 2 * 2


def test_stored_response_takes_as_many_bytes_as_the_response(server: Server):
    with open_client(server.url) as http:
        ada = new_user(http)
        response = ada.post_with_key("long", {"title": "Buy milk", "description": '"\\\n' * 600})
        with server.database() as connection:
            statement = text("SELECT content, headers, answer FROM idempotency_keys WHERE user_id = :id")
            stored = connection.execute(statement, {"id": ada.id}).one()
        assert len(stored.content.encode()) == len(response.content)
        assert len(stored.headers) < 200
        assert stored.answer is None


def test_response_that_an_older_version_stored_is_returned(server: Server):
    with open_client(server.url) as http:
        ada = new_user(http)
        first = ada.post_with_key("one")
        headers = {"ETag": first.headers["etag"], "Location": first.headers["location"]}
        answer = json.dumps([json.dumps(first.json() | {"title": "older"}), headers])
        with server.database() as connection:
            update = text("UPDATE idempotency_keys SET answer = :answer WHERE user_id = :id")
            connection.execute(update, {"answer": answer, "id": ada.id})
        assert ada.post_with_key("one").json()["title"] == "older"
