"""A PostgreSQL that a test may break, the server on it, and requests that are timed."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.postgresql import PostgreSQL, find_binaries, new_database, steered
from tests.support.server import Server, run_server
from tests.support.users import MISSING, SECRET, User, new_user

CONNECTIONS = 10  # that the server has at most
DEADLINE_S = 5  # for every response, also an error
RECOVERY_S = 10

LOCKER = "another program"
OF_THE_SERVER = (
    "FROM pg_stat_activity WHERE datname = current_database()"
    f" AND pid <> pg_backend_pid() AND application_name <> '{LOCKER}'"
)


@dataclass(frozen=True)
class Asked:
    """A response with the times of its request and its arrival (monotonic)."""

    answer: httpx.Response
    began: float
    ended: float

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def took_s(self) -> float:
        return self.ended - self.began


def timed(request: Callable[[], httpx.Response]) -> Asked:
    began = time.monotonic()
    answer = request()
    return Asked(answer, began, time.monotonic())


def at_once(requests: list[Callable[[], httpx.Response]]) -> list[Asked]:
    with under_way(requests) as asked:
        return asked()


@contextmanager
def under_way(requests: list[Callable[[], httpx.Response]]) -> Iterator[Callable[[], list[Asked]]]:
    """Send the requests during the block. Yield a function that waits for the responses."""
    with ThreadPoolExecutor(len(requests)) as threads:
        futures = [threads.submit(timed, request) for request in requests]
        yield lambda: [future.result() for future in futures]


def statuses(asked: list[Asked]) -> set[int]:
    return {one.status for one in asked}


def longest_s(asked: list[Asked]) -> float:
    return max(one.took_s for one in asked)


@dataclass
class Site:
    """A database to break, a server on it, and a client that checks each response against the contract.

    The contract has no 500 for a task, and no 503 without Retry-After.
    """

    postgresql: PostgreSQL
    server: Server
    http: httpx.Client

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Execute SQL directly in the database and return the rows."""
        with self.server.database() as connection:
            result = connection.execute(text(statement), parameters)
            return [*result] if result.returns_rows else []

    def live(self) -> httpx.Response:
        return self.http.get("/health/live")

    def ready(self) -> httpx.Response:
        return self.http.get("/health/ready")

    def is_well(self) -> bool:
        """Return whether the server is ready and serves 20 concurrent requests."""
        if self.ready().status_code != 200:
            return False
        ada = new_user(self.http)
        writes = at_once([lambda: ada.post({"title": "Buy milk"})] * 2 * CONNECTIONS)
        reads = at_once([ada.get] * 2 * CONNECTIONS)
        return statuses(writes) == {201} and statuses(reads) == {200}

    def connect(self) -> None:
        """Make the server open every connection that it may have."""
        ada = new_user(self.http)
        ada.create_task()
        with self.dawdling(0.1):
            assert statuses(at_once([lambda: ada.post({"title": "Buy bread"})] * 2 * CONNECTIONS)) == {201}

    def is_idle(self) -> bool:
        """Whether no statement of the server's runs, and none has left a transaction open."""
        return self.sql(f"SELECT query {OF_THE_SERVER} AND state <> 'idle'") == []

    def titles(self, owner: str) -> list[str]:
        """Of every task that is stored."""
        return [row.title for row in self.sql("SELECT title FROM tasks WHERE user_id = :owner", owner=owner)]

    def cut_off(self, state: str = "idle") -> int:
        """Terminate the server's connections in that state. Return their number."""
        return len(self.sql(f"SELECT pg_terminate_backend(pid) {OF_THE_SERVER} AND state = :it", it=state))

    @contextmanager
    def dawdling(self, seconds: float) -> Iterator[None]:
        """Delay each INSERT of a task, like a slow disk."""
        self.sql(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql"
            f" AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END'"
        )
        self.sql("CREATE TRIGGER dawdle BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION dawdle()")
        try:
            yield
        finally:
            self.cut_off("active")  # the rest of a failed test
            self.sql("SET lock_timeout = '5s'; DROP FUNCTION dawdle CASCADE")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the table of tasks exclusively."""
        with psycopg.connect(self.server.settings["DATABASE_URL"], application_name=LOCKER) as other:
            other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            yield


@contextmanager
def site_on(postgresql: PostgreSQL, folder: Path, database_url: str | None = None) -> Iterator[Site]:
    """A server of its own on that PostgreSQL; by default on a new database."""
    url = database_url or new_database(postgresql.url)
    settings = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "off"}
    # Below the server's own, lest a request be sent on a connection that the server closes just then.
    limits = httpx.Limits(keepalive_expiry=2)
    with run_server(folder, **settings) as server, open_client(server.url, limits=limits) as http:
        yield Site(postgresql, server, http)


@contextmanager
def new_site(folder: Path) -> Iterator[Site]:
    """A server on a PostgreSQL of its own. Skips where there is none."""
    if find_binaries() is None:
        pytest.skip("needs the programs of a PostgreSQL, to break one")
    with steered() as postgresql, site_on(postgresql, folder) as site:
        yield site


def one_of_each(ada: User, task_id: int) -> list[Callable[[], httpx.Response]]:
    """A request of each kind that needs the database; the task remains."""
    return [
        ada.get,
        lambda: ada.get(f"/{task_id}"),
        lambda: ada.post({"title": "Buy bread"}),
        lambda: create_with_key(ada, f"Buy eggs {secrets.token_hex(4)}"),
        lambda: ada.put(f"/{task_id}", {"title": "Buy oat milk"}),
        lambda: ada.patch(f"/{task_id}", {"description": None}),
        lambda: ada.complete(task_id, json={"completed": True}),
        lambda: ada.delete(f"/{MISSING}"),
    ]


def create_with_key(person: User, title: str) -> httpx.Response:
    """A new task, that is made once however often this is sent."""
    key = f"{person.id}-{title.replace(' ', '-')}"
    return person.request("POST", json={"title": title}, headers={"Idempotency-Key": key})


def watched(site: Site, seconds: float) -> list[Asked]:
    """Whether it lives, asked again and again."""
    asked = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        asked.append(timed(site.live))
        time.sleep(0.1)
    return asked
