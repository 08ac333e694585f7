"""Cancelled transactions: each is stored completely or not at all, and no later write is lost with it."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from contract.problems import Unavailable
from persistence import users
from persistence.database import Database
from tests.support.databases import create_task, migrate, run_on
from tests.support.server import open_engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WRITERS, WRITES = 4, 60
LONGEST_S = 0.004


async def cancel_twice(work: asyncio.Task[Any], chance: random.Random) -> None:
    """Cancel the task twice, at random moments, and wait for its end."""
    for _ in range(2):
        await asyncio.sleep(chance.uniform(0, LONGEST_S))
        work.cancel()
    with suppress(asyncio.CancelledError, Unavailable):
        await work


async def write(database: Database, writer: int) -> list[str]:
    """Create tasks, some of them cancelled. Return the titles of the acknowledged ones."""
    chance = random.Random(writer)
    acknowledged = []
    for number in range(WRITES):
        title = f"{writer} {number}"
        if number % 2:
            key = f"cancelled-{writer}-{number}"
            creating = create_task(database, "ada", now=NOW, title=f"cancelled {title}", key=key)
            await cancel_twice(asyncio.create_task(creating), chance)
        else:
            with suppress(Unavailable):
                await create_task(database, "ada", now=NOW, title=title)
                acknowledged.append(title)
    return acknowledged


@contextmanager
def lock_again_and_again(url: str) -> Iterator[None]:
    """Lock what a new task needs for a few milliseconds, again and again, from another connection."""
    engine = open_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    lock = ["BEGIN IMMEDIATE"] if is_sqlite else ["BEGIN", "SELECT id FROM users FOR UPDATE"]
    has_ended = threading.Event()

    def run() -> None:
        with engine.connect() as connection:
            while not has_ended.wait(0.001):
                for statement in lock:
                    connection.exec_driver_sql(statement)
                time.sleep(LONGEST_S)
                connection.exec_driver_sql("ROLLBACK")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()
        engine.dispose()


def test_transactions_that_are_cancelled_twice_lose_no_other_write(new_database: Callable[[], str]):
    url = new_database()
    migrate(url)

    async def write_all(database: Database) -> list[str]:
        await users.create(database, "ada", email="ada@example.com", password_hash="x", now=NOW)
        with lock_again_and_again(url):
            written = await asyncio.gather(*(write(database, writer) for writer in range(WRITERS)))
        return [title for titles in written for title in titles]

    acknowledged = run_on(url, write_all)
    engine = open_engine(url)
    with engine.connect() as connection:
        stored = set(connection.execute(text("SELECT title FROM tasks")).scalars())
        keys = set(connection.execute(text("SELECT key FROM idempotency_keys")).scalars())
    engine.dispose()
    assert set(acknowledged) <= stored
    cancelled = {title.replace(" ", "-") for title in stored if title.startswith("cancelled")}
    assert cancelled == keys
