"""The wall between two people, tried by everyone at every place, with whatever trick a test names.

What a try finds wrong is given as text: a status that is not the one expected, rows in the database that
have changed and may not, words that came back and are another's.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from tests.support.contract_checks import Operation
from tests.support.places import ADA, BOB, PEOPLE, PLACES, TOKENS, Place, places_for, success
from tests.support.raw_http import KeepAliveConnection, RawResponse
from tests.support.server import Server
from tests.support.users import MISSING

CANARIES = {ADA: "the-canary-of-ada-sings", BOB: "the-canary-of-bob-sings"}


class Spot(NamedTuple):
    """A place in names and numbers. `other` is the one of the two whose path it is not."""

    operation: Operation
    user: str
    task: int
    other: str
    others_task: int

    @property
    def path(self) -> str:
        return self.path_with()

    def path_with(self, *, user: str | None = None, task: str | None = None) -> str:
        user_id, task_id = self.user if user is None else user, self.task if task is None else task
        return self.operation.path.format(user_id=user_id, task_id=task_id)


class Reading(Enum):
    """What the server is to take a request for, however it is dressed."""

    PLAIN = "the request without the trick"
    SOMEONE = "one for the path of someone else, who may not exist"
    NO_TASK = "one for a task that there is not"
    INVALID = "one that breaks the contract"
    NOWHERE = "one for no path of the contract, which is not for the token to say"
    UNREADABLE = "no HTTP, so there is no token to look at"

    def status(self, who: str, operation: Operation, place: Place) -> int:
        """What `who` gets there."""
        if self in {Reading.NOWHERE, Reading.UNREADABLE}:
            return 404 if self is Reading.NOWHERE else 400
        if who not in PEOPLE:
            return 401
        if self is Reading.SOMEONE or place.path_of == "other's":
            return 403
        if self is Reading.INVALID:
            return 400
        return 404 if self is Reading.NO_TASK else place.refusal or success(operation)


class Trick(NamedTuple):
    """What the server is to take a request for, and how it differs from the plain one."""

    reading: Reading
    target: Callable[[Spot], str] = lambda spot: spot.path
    headers: Callable[[Spot], dict[str, str]] = lambda _: {}
    body: Callable[[Spot], Any] = lambda spot: spot.operation.body


Rows = dict[tuple[str, int], dict[str, Any]]
"""Every task in a database, by owner and id."""


class Wall:
    """Ada and Bob with two tasks each, on a server of their own, and a way into its database."""

    def __init__(self, line: KeepAliveConnection, connection: Connection) -> None:
        self._line = line
        self._connection = connection
        for person in PEOPLE * 2:
            task = {"title": CANARIES[person], "description": CANARIES[person]}
            assert self._ask(person, "POST", f"/api/{person}/tasks", {}, task).status == 201
        self._rows = self._read_rows()
        self._lists = self._read_lists()
        self._first_task = dict(reversed(self._rows))

    def faults(self, operations: Iterable[Operation], trick: Trick) -> list[str]:
        """What is wrong when everyone tries `trick` at every place of these."""
        found = [
            f"{who}, {place}: {fault}"
            for operation in operations
            for who in TOKENS
            for place in places_for(who, operation)
            for fault in self._try(who, operation, PLACES[place], trick)
        ]
        is_same = self._read_lists() == self._lists
        return found if is_same else [*found, "the lists that the server gives have changed"]

    def _try(self, who: str, operation: Operation, place: Place, trick: Trick) -> Iterator[str]:
        spot = self._spot(who, operation, place)
        target, headers, body = trick.target(spot), trick.headers(spot), trick.body(spot)
        sent = f"{operation.method} {target} {headers or ''} {body or ''}"
        expected = trick.reading.status(who, operation, place)
        answer = self._ask(who, operation.method, target, headers, body)
        if answer.status != expected:
            yield f"{sent} gives {answer.status}, not {expected}"
        yield from (f"{sent} gives away {words}" for words in _others_words(who, answer))
        rows = self._read_rows()
        if not self._may_become(rows, spot, is_success=expected < 300):
            yield f"{sent} changes {self._changed(rows)}"
        if rows != self._rows:
            self._put_back()

    def _spot(self, who: str, operation: Operation, place: Place) -> Spot:
        """Where that is for `who`, and what is there."""
        own, other = (BOB, ADA) if who == BOB else (ADA, BOB)
        task = {"own": self._first_task[own], "other's": self._first_task[other], "missing": MISSING}
        user, not_user = (own, other) if place.path_of == "own" else (other, own)
        return Spot(operation, user, task[place.task_of], not_user, self._first_task[not_user])

    def _ask(self, who: str, method: str, target: str, headers: dict[str, str], body: Any) -> RawResponse:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": "todo.example.com"}
        if (bearer := TOKENS[who]) is not None:
            fields["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        lines = [f"{name}: {value}" for name, value in (fields | headers).items()]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
        return self._line.exchange(head.encode("latin-1") + content)

    def _may_become(self, rows: Rows, spot: Spot, *, is_success: bool) -> bool:
        changed = self._changed(rows)
        if not is_success or spot.operation.method in {"GET", "HEAD"}:
            return changed == []
        if spot.operation.method == "POST":
            return [owner for owner, _ in changed] == [spot.user] and rows.items() > self._rows.items()
        return changed == [(spot.user, spot.task)]

    def _changed(self, rows: Rows) -> list[tuple[str, int]]:
        return sorted(key for key in {*self._rows, *rows} if self._rows.get(key) != rows.get(key))

    def _read_rows(self) -> Rows:
        rows = self._connection.execute(_READ_ROWS)
        return {(row.user_id, row.id): dict(row._mapping) for row in rows}

    def _read_lists(self) -> list[bytes]:
        return [self._ask(person, "GET", f"/api/{person}/tasks", {}, None).body for person in PEOPLE]

    def _put_back(self) -> None:
        """Make the database what it was, so that the next try finds what it looks for."""
        is_postgresql = self._connection.dialect.name == "postgresql"
        insert = _INSERT.format(overriding="OVERRIDING SYSTEM VALUE" if is_postgresql else "")
        self._connection.execute(text("DELETE FROM tasks"))
        self._connection.execute(text(insert), [*self._rows.values()])


_READ_ROWS = text("SELECT * FROM tasks ORDER BY id")
_INSERT = (
    "INSERT INTO tasks (user_id, id, title, description, completed, created_at, updated_at) {overriding}"
    " VALUES (:user_id, :id, :title, :description, :completed, :created_at, :updated_at)"
)


def _others_words(who: str, answer: RawResponse) -> list[str]:
    """What came back that it may not: anything of another's, and one's own unless it is a success."""
    received = f"{answer.head} {answer.body.decode(errors='replace')}"
    is_success = answer.status is not None and answer.status < 300
    words = [(person, word) for person in PEOPLE for word in (CANARIES[person], f'"user_id":"{person}"')]
    return [word for person, word in words if word in received and not (is_success and person == who)]


@contextmanager
def standing(server: Server) -> Iterator[Wall]:
    """The wall between Ada and Bob on `server`, which has nobody else."""
    with closing(KeepAliveConnection(server.url)) as line, server.database() as connection:
        yield Wall(line, connection)
