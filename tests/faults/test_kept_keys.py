"""Idempotency-Keys are kept for a day, and no longer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.faults.tasks import post, titles_of
from tests.support.server import Server, eventually, find_free_port, run_server
from tests.support.users import User

DAY = timedelta(hours=24)


def age(server: Server, person: User, key: str, by: timedelta) -> None:
    """Make it so that the key was first sent that long ago."""
    with server.database() as connection:
        created_at: Any = datetime.now(UTC) - by
        if connection.dialect.name == "sqlite":
            created_at = created_at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        values = {"created_at": created_at, "user_id": person.id, "key": key}
        changed = connection.execute(_AGE, values)
        assert changed.rowcount == 1


_AGE = text("UPDATE idempotency_keys SET created_at = :created_at WHERE user_id = :user_id AND key = :key")
_KEYS = text("SELECT key FROM idempotency_keys WHERE user_id = :user_id")


def keys(server: Server, person: User) -> set[str]:
    """Those that the database has."""
    with server.database() as connection:
        return {row.key for row in connection.execute(_KEYS, {"user_id": person.id})}


def test_key_is_kept_for_a_day(secret_server: Server, ada: User):
    first = post(ada, "one")
    age(secret_server, ada, "one", DAY - timedelta(minutes=1))
    assert post(ada, "one", {"title": "Buy oats"}).status_code == 422
    assert post(ada, "one").content == first.content
    assert titles_of(ada) == ["Buy milk"]


@pytest.mark.parametrize("title", ["Buy milk", "Buy oats"])
def test_key_is_free_after_a_day(secret_server: Server, ada: User, title: str):
    first = post(ada, "one")
    age(secret_server, ada, "one", DAY + timedelta(seconds=2))
    second = post(ada, "one", {"title": title})
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    assert post(ada, "one", {"title": title}).content == second.content
    assert titles_of(ada) == [title, "Buy milk"]


def test_key_that_many_use_at_once_after_a_day_makes_one_task(secret_server: Server, ada: User):
    first = post(ada, "one")
    age(secret_server, ada, "one", DAY + timedelta(seconds=2))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(ada, "one"), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    given = {answer.content for answer in answers if answer.status_code == 201}
    assert len(given) == 1
    assert first.content not in given
    assert len(titles_of(ada)) == 2


def test_old_keys_are_removed_by_a_server_that_starts(secret_server: Server, folder: Path, ada: User):
    for key, age_of in (("old", DAY + timedelta(minutes=1)), ("young", DAY - timedelta(minutes=1))):
        post(ada, key)
        age(secret_server, ada, key, age_of)
    with run_server(folder, **secret_server.settings | {"PORT": str(find_free_port())}):
        assert eventually(lambda: keys(secret_server, ada) == {"young"}, within_s=10)


def test_key_that_was_refused_leaves_nothing_behind(secret_server: Server, ada: User):
    assert post(ada, "one", {"title": ""}).status_code == 400
    assert keys(secret_server, ada) == set()
    post(ada, "one")
    assert keys(secret_server, ada) == {"one"}
