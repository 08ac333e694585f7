"""Connections to PostgreSQL: fewer than there are requests, and with a time zone of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import text

from persistence import users
from persistence.database import Database
from settings import Settings
from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.databases import migrate, on_postgresql, run_on
from tests.support.server import run_server
from tests.support.users import SECRET, User, new_user

AT_ONCE = 2 * Settings.database_pool_size
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def send_at_once(send: Callable[[], bool]) -> set[bool]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return {sent.result() for sent in [threads.submit(send) for _ in range(AT_ONCE)]}


@on_postgresql
def test_more_requests_than_connections_wait_and_succeed(ada: User):
    for _ in range(5):
        assert send_at_once(lambda: ada.create_task()["completed"]) == {False}
    assert len(ada.get().json()) == 5 * AT_ONCE


@on_postgresql
def test_server_opens_as_many_connections_as_its_setting_allows(
    new_database: Callable[[], str], folder: Path
):
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET, "DATABASE_POOL_SIZE": "3"}
    with run_server(folder, **settings) as server, open_client(server.url) as http:
        ada = new_user(http)
        assert send_at_once(lambda: ada.create_task()["completed"]) == {False}
        with server.database() as connection:
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert connection.execute(text(others)).scalar_one() == 3 + 1  # and this connection


def test_times_are_in_utc_in_a_database_with_another_time_zone(postgresql: str):
    url = postgresql_server.new_database(postgresql)
    with psycopg.connect(url, autocommit=True) as connection:
        [(name,)] = connection.execute("SELECT current_database()").fetchall()
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kolkata'")
    migrate(url)

    async def store_and_read(database: Database) -> tuple[str, datetime]:
        zone = await database.fetch_one(text("SHOW timezone"), {})
        row = await users.create(database, "ada", email="ada@example.com", password_hash="x", now=NOON)
        return zone[0], row.created_at

    zone, created_at = run_on(url, store_and_read)
    assert (zone, created_at.isoformat()) == ("UTC", "2026-11-21T12:00:00+00:00")
