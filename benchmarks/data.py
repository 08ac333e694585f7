"""The data and the requests, which are the same for every system."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

import jwt
import psycopg
from psycopg import sql

from tests.support.postgresql import new_database
from tests.support.server import ROOT

SECRET = "benchmark-of-one-machine-" * 2
BLOCK = 10_000  # rows sent at once
BEGAN = datetime(2024, 1, 1)  # in UTC, and naive as SQLite stores it


class Owned(NamedTuple):
    """A task, as a request names it."""

    owner: str
    task_id: int


def people(count: int) -> list[str]:
    return [f"user-{number:06}" for number in range(count)]


def migrated(server_url: str, folder: Path) -> str:
    """The URL of a new PostgreSQL database with this product's schema."""
    url = new_database(server_url)
    with psycopg.connect(url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(database))
    migrate(url, folder)
    return url


def migrate(url: str, folder: Path) -> None:
    environment = {"DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "cli", "migrate"], cwd=folder, env=environment, check=True)


def fill(url: str, owners: Sequence[str], advance: Callable[[int], object] = lambda _: None) -> None:
    """Insert task 1 of the first of `owners`, and so on. Call `advance` for each block."""
    store = _into_sqlite if url.startswith("sqlite") else _into_postgresql
    store(url, sorted(set(owners)), _rows(owners), advance)


def _rows(owners: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """user_id, title, description, completed, created_at, updated_at. Titles and updates are in no order."""
    for number, owner in enumerate(owners, start=1):
        mixed = number * 2_654_435_761 % 2**32  # Knuth's multiplicative hash
        created = BEGAN + timedelta(seconds=number, microseconds=mixed % 999_999 + 1)
        updated = created + timedelta(seconds=mixed % 86_400)
        title, description = f"Task {mixed:08x}", f"The {number}th of them all"
        yield owner, title, description, str(mixed >> 16 & 1), _text(created), _text(updated)


def _text(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")


def _blocks(rows: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    remaining = iter(rows)
    while block := list(islice(remaining, BLOCK)):
        yield block


_COLUMNS = "user_id, title, description, completed, created_at, updated_at"


def _into_postgresql(
    url: str, owners: Sequence[str], rows: Iterable[tuple[str, ...]], advance: Callable[[int], object]
) -> None:
    options = "-c session_replication_role=replica"  # a replica checks no foreign keys, row by row
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute(
            "INSERT INTO users (id, created_at) SELECT unnest(%s::text[]), now()", [list(owners)]
        )
        with connection.cursor().copy(f"COPY tasks ({_COLUMNS}) FROM STDIN") as copy:
            for block in _blocks(rows):
                copy.write("".join("\t".join(row) + "\n" for row in block))
                advance(len(block))
        connection.execute("VACUUM (ANALYZE, FREEZE) tasks")
        connection.execute("CHECKPOINT")


def _into_sqlite(
    url: str, owners: Sequence[str], rows: Iterable[tuple[str, ...]], advance: Callable[[int], object]
) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        now = _text(BEGAN)
        connection.executemany("INSERT INTO users (id, created_at) VALUES (?, ?)", ((o, now) for o in owners))
        for block in _blocks(rows):
            connection.executemany(f"INSERT INTO tasks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", block)
            advance(len(block))
    connection.close()


class Requests:
    """Makes the bytes of requests on the tasks that `fill` gave to these owners; `of` names some of them."""

    def __init__(self, owners: Sequence[str], *, of: Collection[str] | None = None) -> None:
        self._owners = owners
        self._indexes = [index for index, owner in enumerate(owners) if of is None or owner in of]
        self._bearers: dict[str, str] = {}

    def sample(self, operation: str, count: int = 2000) -> list[bytes]:
        """So many requests of an operation on tasks chosen at random, the same ones each time."""
        random = Random(operation)
        return [self._one(operation, random) for _ in range(count)]

    def _one(self, operation: str, random: Random) -> bytes:
        index = random.choice(self._indexes)
        task = Owned(self._owners[index], index + 1)
        if operation == "mix":
            [operation] = random.choices([*MIX], [*MIX.values()])
        method, path, body = OPERATIONS[operation](task)
        return request(method, path, self._bearer(task.owner), body)

    def _bearer(self, owner: str) -> str:
        if owner not in self._bearers:
            self._bearers[owner] = token(owner)
        return self._bearers[owner]


OPERATIONS: Mapping[str, Callable[[Owned], tuple[str, str, object]]] = {
    "get": lambda task: ("GET", f"/api/{task.owner}/tasks/{task.task_id}", None),
    "list": lambda task: ("GET", f"/api/{task.owner}/tasks?limit=50", None),
    "create": lambda task: (
        "POST", f"/api/{task.owner}/tasks", {"title": "Buy milk", "description": "Two litres, if any"}
    ),
    "complete": lambda task: ("PATCH", f"/api/{task.owner}/tasks/{task.task_id}/complete", None),
}  # fmt: skip
MIX = {"get": 70, "list": 15, "create": 10, "complete": 5}


def token(owner: str) -> str:
    now = int(time.time())
    return jwt.encode({"sub": owner, "iat": now, "exp": now + 24 * 3600}, SECRET, "HS256")


def request(method: str, target: str, bearer: str | None = None, body: object = None) -> bytes:
    """A whole HTTP/1.1 request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    if bearer is not None:
        lines.append(f"Authorization: Bearer {bearer}")
    if body is not None:
        lines.append("Content-Type: application/json")
    if method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content
