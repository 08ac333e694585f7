"""SQLite's writes share commits, and each succeeds or fails alone."""

import asyncio
import sqlite3
import struct
from collections.abc import Awaitable, Iterator
from contextlib import closing
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.problems import EmailTaken, KeyReused, Unavailable
from persistence import idempotency, sqlite, users
from persistence.database import Database, Transaction
from persistence.errors import ConstraintViolated
from persistence.idempotency import StoredResponse
from persistence.sqlite import MAX_GROUP
from tests.support.databases import migrate, run_on

NOW = datetime(2026, 11, 27, tzinfo=UTC)
WRITES = 50
NUMBER: ContextVar[int] = ContextVar("number")
RESPONSE = StoredResponse(b"{}", {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A migrated file."""
    path = tmp_path / "todo.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def lock(file: Path) -> Iterator[sqlite3.Connection]:
    """Another connection, which has the write lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def create_user(database: Database, number: int, email: str | None = None) -> None:
    address = email or f"{number}@example.com"
    await users.create(database, str(number), email=address, password_hash="x", now=NOW)


async def create_users(database: Database, lock: sqlite3.Connection, *others: Awaitable[Any]) -> list[Any]:
    """Start to create users, then `others`, unlock the file, and return the result or error of each."""
    creating = [asyncio.ensure_future(create_user(database, number)) for number in range(WRITES)]
    work = [*creating, *map(asyncio.ensure_future, others)]
    await asyncio.sleep(0.05)
    lock.execute("ROLLBACK")
    return await asyncio.gather(*work, return_exceptions=True)


def find_users(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT id FROM users")}


def count_commits(file: Path) -> int:
    """Count the frames of the log that end a commit (https://www.sqlite.org/fileformat2.html#walformat)."""
    log = file.with_name(f"{file.name}-wal").read_bytes()
    page_size, _, *salts = struct.unpack(">4I", log[8:24])
    frames = range(32, len(log), 24 + page_size)
    headers = [struct.unpack(">4I", log[start : start + 16]) for start in frames]
    return sum(1 for _, size, *own_salts in headers if size and own_salts == salts)


def test_writes_that_wait_share_a_commit(file: Path, lock: sqlite3.Connection):
    async def work(database: Database) -> int:
        assert await create_users(database, lock) == [None] * WRITES
        return count_commits(file)

    with closing(sqlite3.connect(file)):  # the last connection removes the log
        assert run_on(f"sqlite:///{file}", work) == 1
    assert len(find_users(file)) == WRITES


def test_write_that_fails_harms_no_other(file: Path, lock: sqlite3.Connection):
    async def insert_and_fail(transaction: Transaction) -> StoredResponse:
        await users.create(transaction, "gone", email="gone@example.com", password_hash="x", now=NOW)
        raise KeyReused

    async def work(database: Database) -> list[Any]:
        taken = create_user(database, 100, "1@example.com")
        failing = database.transaction(insert_and_fail)
        return await create_users(database, lock, taken, failing, create_user(database, 101))

    *results, taken, failing, last = run_on(f"sqlite:///{file}", work)
    assert results == [None] * WRITES
    assert [type(taken), type(failing), last] == [EmailTaken, KeyReused, None]
    assert find_users(file) == {*map(str, range(WRITES)), "101"}


def test_write_with_a_key_shares_a_commit_too(file: Path, lock: sqlite3.Connection):
    async def make(transaction: Transaction) -> StoredResponse:
        return RESPONSE

    async def work(database: Database) -> list[Any]:
        keys = [*map(str, range(9)), "0"]
        keyed = [idempotency.run_once(database, "0", make, key=key, body={}, now=NOW) for key in keys]
        results = await create_users(database, lock, *keyed)
        assert count_commits(file) == 1
        return results[WRITES:]

    with closing(sqlite3.connect(file)):  # the last connection removes the log
        assert run_on(f"sqlite:///{file}", work) == [RESPONSE] * 10


def test_cancelled_write_that_waits_is_not_stored(file: Path, lock: sqlite3.Connection):
    async def work(database: Database) -> None:
        creating = [asyncio.ensure_future(create_user(database, number)) for number in range(MAX_GROUP + 2)]
        await asyncio.sleep(0.05)
        creating[-1].cancel()
        lock.execute("ROLLBACK")
        await asyncio.gather(*creating, return_exceptions=True)

    run_on(f"sqlite:///{file}", work)
    assert find_users(file) == {*map(str, range(MAX_GROUP + 1))}


def test_write_that_waits_too_long_is_unavailable_and_not_stored(
    file: Path, lock: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite, "QUEUE_TIMEOUT_S", 0.02)

    async def work(database: Database) -> list[Any]:
        late = [create_user(database, WRITES + number) for number in range(MAX_GROUP)]
        return await create_users(database, lock, *late)

    results = run_on(f"sqlite:///{file}", work)
    assert results[:MAX_GROUP] == [None] * MAX_GROUP
    assert {type(result) for result in results[MAX_GROUP:]} == {Unavailable}
    assert find_users(file) == {*map(str, range(MAX_GROUP))}


ENDINGS = {"ROLLBACK": "SQLite ends the transaction itself", "ABORT": "SQLite leaves it open"}


@pytest.mark.parametrize("ending", ENDINGS, ids=ENDINGS.values())
def test_group_whose_transaction_ends_is_not_acknowledged(
    file: Path, lock: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, ending: str
):
    """The error of a trigger stands for a full disk, after which SQLite may or may not roll back itself."""
    monkeypatch.setattr(sqlite, "is_full", lambda _error: True)
    lock.execute("ROLLBACK")
    lock.execute(
        "CREATE TRIGGER planted BEFORE INSERT ON users WHEN NEW.id = '20'"
        f" BEGIN SELECT RAISE({ending}, 'as if the disk was full'); END"
    )
    lock.execute("BEGIN IMMEDIATE")

    async def work(database: Database) -> list[Any]:
        results = await create_users(database, lock)
        await create_user(database, 100)
        return results

    assert {type(result) for result in run_on(f"sqlite:///{file}", work)} == {ConstraintViolated}
    assert find_users(file) == {"100"}


def test_transaction_runs_in_the_context_of_its_request(file: Path):
    async def read_context(_transaction: Transaction) -> int:
        return NUMBER.get()

    async def begin(database: Database, number: int) -> int:
        NUMBER.set(number)
        return await database.transaction(read_context)

    async def work(database: Database) -> list[int]:
        return await asyncio.gather(*(begin(database, number) for number in range(WRITES)))

    assert run_on(f"sqlite:///{file}", work) == [*range(WRITES)]


def test_transaction_that_awaits_something_else_is_an_error(file: Path):
    async def sleep(_transaction: Transaction) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="may await nothing but its statements"):
        run_on(f"sqlite:///{file}", lambda database: database.transaction(sleep))
