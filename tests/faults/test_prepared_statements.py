"""Statements are prepared on direct connections, and no answer ever has the rows of another statement.

The requests run in this process, so that a test can force what a pooler must not get: prepared statements in
transaction mode, without a PgBouncer that tracks them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from contract.problems import Unavailable
from persistence import postgresql_pool, task_pages, tasks, users
from persistence.database import Database, Transaction
from tests.support import pgbouncer
from tests.support import postgresql as postgresql_server
from tests.support.databases import create_task, migrate, run_on
from tests.support.pgbouncer import PgBouncer
from tests.support.server import open_engine

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PREPARED = text("SELECT count(*) AS count FROM pg_prepared_statements")
CLIENTS = 24  # more than connections


@pytest.fixture
def url(postgresql: str) -> str:
    """A new database, migrated."""
    url = postgresql_server.new_database(postgresql)
    migrate(url)
    return url


@pytest.fixture(scope="module")
def pooler(postgresql: str) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode, which does not track prepared statements."""
    with pgbouncer.started(postgresql) as pooler:
        yield pooler


async def always(_opened: Any) -> bool:
    """Replace the test of whether a connection is direct."""
    return True


async def count_prepared(database: Database) -> int:
    """Run a statement twice, and count what its connection has prepared."""
    for _ in range(2):
        assert await users.find_by_email(database, "nobody@example.com") is None
    row = await database.fetch_one(PREPARED, {})
    return 0 if row is None else int(row.count)


def test_statement_is_prepared_on_a_direct_connection_and_not_through_a_pooler(url: str, pooler: PgBouncer):
    assert run_on(url, count_prepared) == 1
    assert run_on(pooler.url(url), count_prepared) == 0


def test_no_answer_is_wrong_while_others_are_cancelled(
    url: str, is_long: bool, caplog: pytest.LogCaptureFixture
):
    assert run_on(url, lambda database: count_right_answers(database, 400 if is_long else 20)) > 0
    assert "no longer prepared" not in caplog.text


def test_no_answer_is_wrong_through_a_pooler(url: str, pooler: PgBouncer, is_long: bool):
    through_pooler = pooler.url(url)
    rounds = 400 if is_long else 20
    assert run_on(through_pooler, lambda database: count_right_answers(database, rounds)) > 0


def test_no_answer_is_wrong_even_if_statements_are_prepared_through_a_pooler(
    url: str,
    pooler: PgBouncer,
    is_long: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(postgresql_pool, "is_direct", always)
    through_pooler = pooler.url(url)
    databases = 40 if is_long else 4  # each prepares until its first error
    for _ in range(databases):
        assert run_on(through_pooler, lambda database: count_right_answers(database, 10)) > 0
    assert caplog.text.count("statements are no longer prepared") == databases


async def count_right_answers(database: Database, rounds: int) -> int:
    """Use tasks as several users at once, beside cancelled requests. Fail at a wrong answer."""
    seed = random.randrange(1_000_000)
    work = [use_tasks(database, f"{seed}-{number}", rounds) for number in range(CLIENTS)]
    answers = sum(await asyncio.gather(*work))
    print(f"{answers} answers, none of them wrong")
    return answers


async def use_tasks(database: Database, owner: str, rounds: int) -> int:
    chance = random.Random(owner)
    await users.create(database, owner, email=f"{owner}@example.com", password_hash="x", now=NOW)
    titles: list[str] = []
    answers = 0
    for number in range(rounds):
        cancelled = asyncio.create_task(find_something_else(database, chance))
        title = f"{owner} {number}"
        key = f"key {number}" if number % 2 else None
        created = await create_task(database, owner, now=NOW, title=title, key=key)
        assert (created["user_id"], created["title"]) == (owner, title)
        titles.insert(0, title)
        page = await task_pages.get(
            database, owner, status="all", sort="created", order=None, limit=5, cursor=None
        )
        assert [(row.user_id, row.title) for row in page.rows] == [(owner, one) for one in titles[:5]]
        [newest, *_] = page.rows
        assert await tasks.get(database, owner, newest.id) == newest
        completed = await tasks.complete(database, owner, newest.id, versions=None, completed=True, now=NOW)
        assert completed == newest._replace(completed=True, version=2)
        account = await users.find_by_email(database, f"{owner}@example.com")
        assert account is not None
        assert account.id == owner
        assert await tasks.count(database, owner) == len(titles)
        answers += 6
        await asyncio.sleep(chance.uniform(0, 0.002))
        cancelled.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await cancelled
    return answers


async def find_something_else(database: Database, chance: random.Random) -> None:
    """Use the statements of `use_tasks` with other results, in any order, until cancelled."""
    while True:
        await asyncio.sleep(chance.uniform(0, 0.001))
        work: Callable[[], Awaitable[Any]] = chance.choice(
            [
                lambda: tasks.count(database, "nobody"),
                lambda: users.find_by_email(database, "nobody@example.com"),
                lambda: create_task(database, "nobody", now=NOW, key="key"),
            ]
        )
        with suppress(Exception):
            await work()


def test_plan_that_a_migration_has_outdated_is_replaced(url: str):
    """PostgreSQL rejects a prepared statement whose columns have another type than when it was prepared."""

    async def find(database: Transaction) -> Any:
        return await users.find_by_email(database, "ada@example.com")

    async def work(database: Database) -> list[Any]:
        ada = await users.create(database, "ada", email="ada@example.com", password_hash="x", now=NOW)
        found = [await find(database), await database.transaction(find)]
        for statement in CHANGES:
            change(url, statement)
            found += [await database.transaction(find), await find(database)]
        return [ada, *found]

    ada, *found = run_on(url, work)
    assert found == [ada] * len(found)


CHANGES = (
    "ALTER TABLE users ALTER COLUMN password_hash TYPE varchar(200)",
    "ALTER TABLE users ALTER COLUMN password_hash TYPE char(1)",
)


def change(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
