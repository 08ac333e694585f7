"""What becomes of requests when connections to the database die, wait, or have another time zone."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from tests import postgresql as postgresql_server
from tests.people import SECRET, Person, new_person
from tests.promises import client_of
from tests.server import Server, running

AT_ONCE = 20  # more than there are connections


@contextmanager
def serving(folder: Path, database_url: str) -> Iterator[tuple[Server, Person]]:
    """A server of its own, and someone who has a task there."""
    with (
        running(folder, DATABASE_URL=database_url, BETTER_AUTH_SECRET=SECRET) as server,
        client_of(server.url) as http,
    ):
        ada = new_person(http)
        ada.has_task()
        yield server, ada


def all_at_once(ask: Callable[[], int]) -> set[int]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return {request.result() for request in [threads.submit(ask) for _ in range(AT_ONCE)]}


def test_connections_that_died_idle_cost_nothing(postgresql: str, folder: Path):
    with serving(folder, postgresql_server.new_database(postgresql)) as (server, ada):
        for method, body, expected in (("GET", None, 200), ("POST", {"title": "Buy bread"}, 201)):
            assert all_at_once(lambda: ada.get().status_code) == {200}  # every connection is made
            with server.database() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            time.sleep(0.1)  # for the farewells to arrive
            asked = all_at_once(lambda: ada.request(method, json=body).status_code)  # noqa: B023
            assert asked == {expected}


def test_more_requests_than_connections_wait_their_turn(postgresql: str, folder: Path):
    with serving(folder, postgresql_server.new_database(postgresql)) as (_, ada):
        for _ in range(10):
            assert all_at_once(lambda: ada.has_task()["completed"]) == {False}
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


@pytest.fixture
def locked(tmp_path: Path, folder: Path) -> Iterator[Person]:
    """Someone whose tasks are in a file that another process is writing to, without end."""
    file = tmp_path / "todo.db"
    with serving(folder, f"sqlite:///{file}") as (_, ada), closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield ada


def test_reads_go_on_while_a_write_waits_for_another_process(locked: Person):
    with ThreadPoolExecutor(1) as thread:
        write = thread.submit(locked.post, {"title": "Buy bread"})
        time.sleep(0.2)  # for it to be under way
        assert all_at_once(lambda: locked.get().status_code) == {200}
        assert not write.done()
    assert write.result().status_code == 503


def test_writes_that_wait_too_long_are_503_within_five_seconds(locked: Person):
    def write() -> tuple[int, bool]:
        began = time.monotonic()
        answer = locked.post({"title": "Buy bread"})
        return answer.status_code, time.monotonic() - began < 5 and "retry-after" in answer.headers

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: write(), range(4))) == {(503, True)}
    assert [task["title"] for task in locked.get().json()] == ["Buy milk"]
