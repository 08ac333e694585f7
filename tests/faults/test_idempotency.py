"""Idempotency-Key when the database fails or freezes, and when the server is killed or frozen."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from sqlalchemy import text

from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET, User, new_user

FREED_WITHIN_S = 8
WRITERS = 8
BREAK = {
    "sqlite": ["CREATE TRIGGER broken BEFORE INSERT ON tasks BEGIN SELECT RAISE(ABORT, 'broken'); END"],
    "postgresql": [
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'broken'; END$$",
        "CREATE TRIGGER broken BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION broken()",
    ],
}
MEND = {"sqlite": "DROP TRIGGER broken", "postgresql": "DROP TRIGGER broken ON tasks"}


@pytest.fixture(scope="module")
def settings(new_database: Callable[[], str]) -> dict[str, str]:
    return {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "off"}


@pytest.fixture(scope="module")
def server(settings: dict[str, str], folder: Path) -> Iterator[Server]:
    """A server with a database for these tests only."""
    with run_server(folder, **settings) as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Iterator[User]:
    """Someone who has a row in users, but no task."""
    with httpx.Client(base_url=server.url, timeout=20, verify=False) as http:
        ada = new_user(http)
        ada.delete(f"/{ada.create_task()['id']}")
        yield ada


@contextmanager
def at(server: Server, person: User) -> Iterator[User]:
    """Return the same user at another server."""
    bearer = person.headers["Authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=server.url, timeout=20, verify=False) as http:
        yield User(http, person.id, bearer)


@contextmanager
def held(settings: dict[str, str]) -> Iterator[None]:
    """The table tasks, locked by another session."""
    url = settings["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=5)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            yield


def test_error_of_the_server_is_not_stored(server: Server, ada: User, database: str):
    with server.database() as connection:
        for statement in BREAK[database]:
            connection.execute(text(statement))
        try:
            assert [ada.post_with_key("one").status_code for _ in range(2)] == [500, 500]
        finally:
            connection.execute(text(MEND[database]))
    assert ada.post_with_key("one", {"title": "Buy oats"}).status_code == 201
    assert ada.titles() == ["Buy oats"]


def test_request_that_times_out_in_the_database_stores_no_key(settings: dict[str, str], ada: User):
    with held(settings):
        assert timed(ada, "one") == (503, True)
    assert becomes_created(ada, "one")
    assert ada.titles() == ["one"]


def timed(person: User, key: str) -> tuple[int, bool]:
    """The status, and whether it came within 5 s, with the time of the next try where one is due."""
    began = time.monotonic()
    answer = person.post_with_key(key)
    in_time = time.monotonic() - began < 5
    is_said = answer.status_code not in {409, 503} or int(answer.headers["retry-after"]) >= 1
    return answer.status_code, in_time and is_said


def becomes_created(person: User, key: str, within_s: float = FREED_WITHIN_S) -> bool:
    """Whether tries, a moment apart, come to a 201 in that time, by way of 409 and 503 only."""

    def is_created() -> bool:
        status = person.post_with_key(key).status_code
        assert status in {201, 409, 503}
        return status == 201

    return eventually(is_created, within_s)


def test_requests_during_the_first_one_are_409_with_retry_after(settings: dict[str, str], ada: User):
    with ThreadPoolExecutor(4) as threads, held(settings):
        tries = [threads.submit(timed, ada, "one") for _ in range(4)]
        assert {each.result() for each in tries} <= {(409, True), (503, True)}
    assert becomes_created(ada, "one")
    assert ada.titles() == ["one"]
    assert {ada.post_with_key("one").json()["title"] for _ in range(4)} == {"one"}
    assert ada.post_with_key("one", {"title": "Buy oats"}).status_code == 422


class Hanging(NamedTuple):
    """A keyed request that waits for a lock in the database, and the server that has it."""

    server: Server
    person: User
    """Who sent it, there."""
    request: Future[httpx.Response]
    release: Callable[[], None]
    """Gives up the lock."""


@contextmanager
def hanging(settings: dict[str, str], folder: Path, person: User) -> Iterator[Hanging]:
    with ExitStack() as stack:
        doomed = stack.enter_context(run_server(folder, **settings))
        twin = stack.enter_context(at(doomed, person))
        threads = stack.enter_context(ThreadPoolExecutor(1))
        lock = stack.enter_context(ExitStack())
        lock.enter_context(held(settings))
        request = threads.submit(twin.post_with_key, "one")
        time.sleep(0.5)  # until the request runs
        assert not request.done()
        yield Hanging(doomed, twin, request, lock.close)


def test_key_of_a_server_that_was_killed_frees_itself(settings: dict[str, str], folder: Path, ada: User):
    with hanging(settings, folder, ada) as hung:
        hung.server.kill()
        assert isinstance(hung.request.exception(timeout=10), httpx.TransportError)
        hung.release()
        assert becomes_created(ada, "one")
    assert ada.titles() == ["one"]


def test_key_of_a_server_that_is_frozen_frees_itself(settings: dict[str, str], folder: Path, ada: User):
    with hanging(settings, folder, ada) as hung:
        hung.server.process.send_signal(signal.SIGSTOP)
        try:
            hung.release()  # the insert is done and not committed
            assert becomes_created(ada, "one")
        finally:
            hung.server.process.send_signal(signal.SIGCONT)
        assert hung.request.result(timeout=20).status_code in {201, 409, 503}
        assert becomes_created(hung.person, "one")
    assert ada.titles() == ["one"]
