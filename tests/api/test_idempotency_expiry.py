"""An Idempotency-Key and its response are stored for a day, and then removed."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from persistence import expiry, idempotency
from persistence.database import Database
from persistence.tables import idempotency_keys, users
from tests.support.databases import migrate, on_sqlite, run_on
from tests.support.server import Server, eventually, find_free_port, open_engine, run_server
from tests.support.users import User

DAY = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
YOUNG = {"of a minute ago": MINUTE, "of almost a day ago": DAY - MINUTE}
KEYS = idempotency_keys.c


def age(server: Server, user: User, key: str, by: timedelta) -> None:
    """Make the key one that was first sent that long ago."""
    statement = update(idempotency_keys).where(KEYS.user_id == user.id, KEYS.key == key)
    with server.database() as database:
        assert database.execute(statement.values(created_at=datetime.now(UTC) - by)).rowcount == 1


def stored_keys(database: Connection, user_id: str) -> set[str]:
    return {*database.scalars(select(KEYS.key).where(KEYS.user_id == user_id))}


def titles(user: User) -> list[str]:
    return [task["title"] for task in user.list_all()]


def test_key_is_stored_for_a_day(secret_server: Server, ada: User):
    first = ada.post_with_key("one")
    age(secret_server, ada, "one", DAY - MINUTE)
    assert ada.post_with_key("one", {"title": "Buy oats"}).status_code == 422
    assert ada.post_with_key("one").content == first.content
    assert titles(ada) == ["one"]


@pytest.mark.parametrize("title", ["one", "Buy oats"])
def test_key_may_be_used_again_after_a_day(secret_server: Server, ada: User, bob: User, title: str):
    first, bobs = ada.post_with_key("one"), bob.post_with_key("one")
    for user in (ada, bob):
        age(secret_server, user, "one", DAY + MINUTE if user is ada else DAY - MINUTE)
    second = ada.post_with_key("one", {"title": title})
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    assert ada.post_with_key("one", {"title": title}).content == second.content
    assert bob.post_with_key("one").content == bobs.content
    assert titles(ada) == [title, "one"]


def test_many_requests_at_once_with_a_key_older_than_a_day_create_one_task(secret_server: Server, ada: User):
    first = ada.post_with_key("one")
    age(secret_server, ada, "one", DAY + MINUTE)
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: ada.post_with_key("one"), range(8)))
    assert {response.status_code for response in responses} <= {201, 409}
    created = {response.content for response in responses if response.status_code == 201}
    assert len(created) == 1
    assert first.content not in created
    assert titles(ada) == ["one", "one"]


def test_rejected_request_stores_no_key(secret_server: Server, ada: User):
    assert ada.post_with_key("one", {"title": ""}).status_code == 400
    with secret_server.database() as database:
        assert stored_keys(database, ada.id) == set()
        ada.post_with_key("one")
        assert stored_keys(database, ada.id) == {"one"}


@on_sqlite
def test_server_removes_expired_keys_when_it_starts(secret_server: Server, folder: Path, ada: User):
    for key, by in (("old", DAY + MINUTE), ("young", DAY - MINUTE)):
        ada.post_with_key(key)
        age(secret_server, ada, key, by)
    with (
        run_server(folder, **secret_server.settings | {"PORT": str(find_free_port())}),
        secret_server.database() as database,
    ):
        assert eventually(lambda: stored_keys(database, ada.id) == {"young"}, within_s=10)


def sweep(url: str, clock: Callable[[], datetime], *, until: Callable[[], bool]) -> bool:
    """Keep sweeping until the condition is true or 5 s are over. Return whether it is true."""

    async def keep_sweeping(database: Database) -> bool:
        sweeping = asyncio.create_task(expiry.sweep_forever(database, clock))
        is_true = await asyncio.to_thread(eventually, until, 5)
        sweeping.cancel()
        return is_true

    return run_on(url, keep_sweeping)


Stored = tuple[str, Callable[[], list[set[str]]]]


@pytest.fixture
def stored(new_database: Callable[[], str]) -> Iterator[Stored]:
    """The URL of a database with expired and valid keys of two users, and a function that reads the keys."""
    url = new_database()
    migrate(url)
    ages = {f"old {number}": DAY + MINUTE for number in range(12)} | YOUNG
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(insert(users), [{"id": user, "created_at": NOON} for user in ("ada", "bob")])
        rows = [{"user_id": "ada", "key": key, "created_at": NOON - by} for key, by in ages.items()]
        rows += [row | {"user_id": "bob"} for row in rows[-len(YOUNG) :]]
        connection.execute(insert(idempotency_keys), [row | {"fingerprint": "x"} for row in rows])
        yield url, lambda: [stored_keys(connection, user) for user in ("ada", "bob")]
    engine.dispose()


def test_one_sweep_removes_every_expired_key_and_no_other(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(idempotency, "MAX_SWEPT_ROWS", 5)
    url, read_keys = stored
    assert sweep(url, lambda: NOON, until=lambda: read_keys() == [{*YOUNG}] * 2)


def test_sweep_is_repeated_even_after_it_failed(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(expiry, "SWEEP_EVERY_S", 0.05)
    url, read_keys = stored
    times = iter([NOON, NOON, "no time", NOON + DAY])
    assert sweep(url, lambda: next(times, NOON + DAY), until=lambda: read_keys() == [set(), set()])
