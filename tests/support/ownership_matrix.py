"""The ownership matrix: who sends a request (SENDERS), where (PLACES), by which operation, and the result.

Failures are returned as text: a wrong status, a row in the database that must not change, a word in a
response that the sender must not read.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import httpx
import jwt
from sqlalchemy import Connection, text

from tests.support.contract_checks import Operation, check_body, find_documented, operations
from tests.support.raw_http import KeepAliveConnection, RawResponse
from tests.support.server import Server
from tests.support.users import MISSING, SECRET, sign_token

OPERATIONS = [operation for operation in operations() if "{user_id}" in operation.path]
HEADS = [operation._replace(method="HEAD") for operation in OPERATIONS if operation.method == "GET"]

# k, i and s have look-alikes that become k, i and s without case: Kelvin sign, dotless i, long s.
USERS = ADA, BOB = "ada-kis", "bob-kis"
CANARIES = {ADA: "the-canary-of-ada-sings", BOB: "the-canary-of-bob-sings"}
NO_TOKEN = "no token"
_NOW = int(time.time())
SENDERS: dict[str, str | None] = {
    ADA: sign_token(ADA),
    BOB: sign_token(BOB),
    NO_TOKEN: None,
    "an invalid token": "garbage",
    "an expired token of Ada": sign_token(ADA, iat=_NOW - 7200, exp=_NOW - 3600),
    "Ada's token of another issuer": jwt.encode({"sub": ADA, "exp": _NOW + 3600}, SECRET[::-1], "HS256"),
}
"""The token of each sender. The own path and tasks are Bob's for Bob, and Ada's for all others."""


class Place(NamedTuple):
    """A path and a task, and how a user with a valid token is rejected there; None: not at all."""

    path_of: str
    task_of: str
    rejection: int | None


PLACES = [
    Place("own", "own", None),
    Place("own", "other's", 404),
    Place("own", "missing", 404),
    Place("other's", "other's", 403),
    Place("other's", "own", 403),
    Place("other's", "missing", 403),
]


class Target(NamedTuple):
    """A place in names and numbers. `user` is the user in the path, `other` the other one of the two."""

    operation: Operation
    user: str
    task: int
    other: str
    others_task: int

    def path(self, *, user: str | None = None, task: str | None = None) -> str:
        """Return the path, with another spelling of the user's or the task's id if one is given."""
        return self.operation.path.format(user_id=user or self.user, task_id=task or self.task)


class Trick(NamedTuple):
    """How requests differ from the plain ones. An invalid request is 400 instead of a success."""

    headers: Callable[[Target], dict[str, str]] = lambda _: {}
    query: Callable[[Target], str] = lambda _: ""
    body: Callable[[Target], Any] = lambda target: target.operation.body
    is_invalid: bool = False


PLAIN = Trick()
Rows = dict[tuple[str, int], dict[str, Any]]
"""The tasks of both users, by owner and id."""


def places_of(operation: Operation) -> list[Place]:
    """Return the places of an operation: only two if its path names no task."""
    has_task = "{task_id}" in operation.path
    return [place for place in PLACES if has_task or place.path_of == place.task_of]


class TwoUsers:
    """Ada and Bob with two tasks each on a server, and a connection to its database."""

    def __init__(self, http: KeepAliveConnection, database: Connection) -> None:
        self._http = http
        self._database = database
        self._database.execute(_DELETE, _BOTH)
        for user in USERS * 2:
            task = {"title": CANARIES[user], "description": CANARIES[user]}
            assert self.send(user, "POST", f"/api/{user}/tasks", body=task).status == 201
        self._rows = self._read_rows()
        self.tasks = dict(reversed(self._rows))
        """The first task of each user."""

    def find_failures(
        self, operations: Iterable[Operation], senders: Iterable[str], places: Iterable[Place], trick: Trick
    ) -> list[str]:
        """Send every request of this part of the matrix and return what is wrong."""
        return [
            failure
            for operation in operations
            for sender in senders
            for place in places_of(operation)
            if place in places
            for failure in self._attempt(sender, operation, place, trick)
        ]

    def _attempt(self, sender: str, operation: Operation, place: Place, trick: Trick) -> Iterator[str]:
        target = self._target(sender, operation, place)
        path = target.path() + (trick.query(target) or operation.query)
        headers, body = trick.headers(target), trick.body(target)
        sent = f"{sender}: {operation.method} {path} {headers or ''} {body or ''}"
        expected = _expected_status(sender, operation, place, trick)
        response = self.send(sender, operation.method, path, headers=headers, body=body)
        if response.status == expected:
            _check_by_contract(operation, target, response)
        else:
            yield f"{sent} is {response.status}, not {expected}"
        yield from (f"{sent} returns {word}" for word in find_leaks(sender, response))
        rows = self._read_rows()
        if not self._may_become(rows, target, is_success=expected < 300):
            yield f"{sent} changes {self._differences(rows)}"
        if rows != self._rows:
            self.restore()

    def _target(self, sender: str, operation: Operation, place: Place) -> Target:
        own, other = (BOB, ADA) if sender == BOB else (ADA, BOB)
        task = {"own": self.tasks[own], "other's": self.tasks[other], "missing": MISSING}
        user, not_user = (own, other) if place.path_of == "own" else (other, own)
        return Target(operation, user, task[place.task_of], not_user, self.tasks[not_user])

    def send(
        self,
        sender: str,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> RawResponse:
        """Send the request with the token of the sender; bytes are sent as they are."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": "todo.example.com"}
        if (token := SENDERS[sender]) is not None:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        lines = [f"{name}: {value}" for name, value in (fields | (headers or {})).items()]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
        return self._http.exchange(head.encode("latin-1") + content)

    def _may_become(self, rows: Rows, target: Target, *, is_success: bool) -> bool:
        changed = self._differences(rows)
        if not is_success or target.operation.method in {"GET", "HEAD"}:
            return changed == []
        if target.operation.method == "POST":
            return [owner for owner, _ in changed] == [target.user] and rows.items() > self._rows.items()
        if "{task_id}" not in target.operation.path:
            return {owner for owner, _ in changed} == {target.user}
        return changed == [(target.user, target.task)]

    def changed_rows(self) -> list[tuple[str, int]]:
        """Return the owner and the id of every task that is not what it was at first."""
        return self._differences(self._read_rows())

    def _differences(self, rows: Rows) -> list[tuple[str, int]]:
        return sorted(key for key in {*self._rows, *rows} if self._rows.get(key) != rows.get(key))

    def _read_rows(self) -> Rows:
        rows = self._database.execute(_SELECT, _BOTH)
        return {(row.user_id, row.id): dict(row._mapping) for row in rows}

    def restore(self) -> None:
        """Make every row what it was at first, so that the next request finds the same tasks."""
        columns = [*next(iter(self._rows.values()))]
        overriding = "OVERRIDING SYSTEM VALUE" if self._database.dialect.name == "postgresql" else ""
        values = ", ".join(f":{column}" for column in columns)
        insert = f"INSERT INTO tasks ({', '.join(columns)}) {overriding} VALUES ({values})"
        self._database.execute(_DELETE, _BOTH)
        self._database.execute(text(insert), [*self._rows.values()])


_BOTH = {"ada": ADA, "bob": BOB}
_SELECT = text("SELECT * FROM tasks WHERE user_id IN (:ada, :bob) ORDER BY id")
_DELETE = text("DELETE FROM tasks WHERE user_id IN (:ada, :bob)")


def _expected_status(sender: str, operation: Operation, place: Place, trick: Trick) -> int:
    if sender not in USERS:
        return 401
    if place.path_of == "other's":
        return 403
    return 400 if trick.is_invalid else place.rejection or operation.success


def _check_by_contract(operation: Operation, target: Target, response: RawResponse) -> None:
    documented = find_documented(operation.method, target.path(), str(response.status)) or {}
    request = httpx.Request(operation.method, "http://todo.example.com")
    content = response.body or None  # of HEAD: its Content-Length is that of GET
    found = httpx.Response(response.status, headers=response.headers, content=content, request=request)
    check_body(found, documented.get("content", {}))


def find_leaks(sender: str, response: RawResponse) -> list[str]:
    """Return the words that the sender must not read: another's, and their own unless it is a success."""
    received = f"{response.head} {response.body.decode(errors='replace')}"
    is_success = response.status is not None and response.status < 300
    words = [(user, word) for user in USERS for word in (CANARIES[user], f'"user_id":"{user}"')]
    return [word for user, word in words if word in received and not (is_success and user == sender)]


@contextmanager
def two_users_on(server: Server) -> Iterator[TwoUsers]:
    """Create the tasks of Ada and Bob on `server`, in place of those that are there."""
    with closing(KeepAliveConnection(server.url)) as http, server.database() as database:
        yield TwoUsers(http, database)
