"""What becomes of requests when connections to the database are short, wait, or have another time zone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user

AT_ONCE = 20  # more than there are connections


@contextmanager
def serving(folder: Path, database_url: str) -> Iterator[tuple[Server, User]]:
    """A server of its own, and someone who has a task there."""
    with (
        run_server(folder, DATABASE_URL=database_url, BETTER_AUTH_SECRET=SECRET) as server,
        open_client(server.url) as http,
    ):
        ada = new_user(http)
        ada.create_task()
        yield server, ada


def all_at_once(ask: Callable[[], int]) -> set[int]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return {request.result() for request in [threads.submit(ask) for _ in range(AT_ONCE)]}


def test_more_requests_than_connections_wait_their_turn(postgresql: str, folder: Path):
    with serving(folder, postgresql_server.new_database(postgresql)) as (_, ada):
        for _ in range(10):
            assert all_at_once(lambda: ada.create_task()["completed"]) == {False}
        assert len(ada.get().json()) == 10 * AT_ONCE + 1


def test_times_are_in_utc_whatever_zone_the_database_has(postgresql: str, folder: Path):
    url = postgresql_server.new_database(postgresql)
    with psycopg.connect(url, autocommit=True) as connection:
        [(name,)] = connection.execute("SELECT current_database()").fetchall()
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kolkata'")
    with serving(folder, url) as (_, ada):
        [task] = ada.get().json()
        assert task["created_at"].endswith("Z")
        assert abs(datetime.fromisoformat(task["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
        assert ada.get(sort="updated", limit=1).json() == [task]
