"""The log: one JSON line for each request, and nothing in it of what people sent."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import text

from tests.support.server import Server, run_server
from tests.support.users import User, sign_token

CANARY = "c4n4ry"  # in everything that is sent
EMAIL = f"{CANARY}@example.com"
CREDENTIALS = {"email": EMAIL, "password": f"{CANARY} green parrots"}
TASK = {"title": f"Feed the {CANARY}", "description": f"{CANARY} food"}
HEADERS = {
    "X-Canary": CANARY,
    "User-Agent": CANARY,
    "Referer": f"https://example.com/{CANARY}",
    "Cookie": f"session={CANARY}",
}
JSON = {"Content-Type": "application/json"}


class Exchange(NamedTuple):
    """An answer, and what the log should say of it."""

    answer: httpx.Response
    operation: str
    user: Any = None


class Played(NamedTuple):
    """Good and bad requests, the token that they were sent with, and the log after them."""

    exchanges: list[Exchange]
    token: str
    log: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def played(new_database: Callable[[], str], folder: Path) -> Played:
    """At the level that says most, and on both databases, whose drivers word their errors differently."""
    settings = {"DATABASE_URL": new_database(), "LOG_LEVEL": "DEBUG"}
    with (
        run_server(folder, **settings) as server,
        httpx.Client(base_url=server.url, headers=HEADERS, timeout=20) as http,
    ):
        exchanges = accounts(http)
        session = exchanges[-1].answer.json()
        ada = User(http, session["user"]["id"], session["access_token"])
        exchanges += [*tasks(ada), *strangers(http, ada), broken(server, ada)]
        raw(server, f"{CANARY.upper()} /{CANARY} HTTP/7.7\r\n{CANARY}\r\n\r\n")
    return Played(exchanges, session["access_token"], server.log)


def accounts(http: httpx.Client) -> list[Exchange]:
    """Sign-ups and logins, of which the last succeeds."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("signup", CREDENTIALS),
        ("signup", CREDENTIALS),
        ("signup", CREDENTIALS | {"password": CANARY * 13}),
        ("signup", {"email": CANARY, "password": CANARY}),
        ("login", CREDENTIALS | {"password": f"{CANARY} red parrots"}),
        ("login", {"email": f"no-{EMAIL}", "password": CANARY}),
        ("login", CREDENTIALS),
    ]
    return [Exchange(http.post(f"/api/auth/{name}", json=body), f"auth.{name}") for name, body in bodies]


def tasks(ada: User) -> Iterator[Exchange]:
    """What someone signed in may send, well made or not."""
    yield Exchange(ada.post(TASK), "tasks.create", ada.id)
    yield Exchange(ada.post({"title": CANARY * 40}), "tasks.create", ada.id)
    yield Exchange(ada.post({"title": CANARY * 20_000}), "tasks.create", ada.id)
    yield Exchange(ada.request("POST", content=f'{{"{CANARY}', headers=JSON), "tasks.create", ada.id)
    yield Exchange(
        ada.request("POST", content=CANARY, headers={"Content-Type": f"text/{CANARY}"}),
        "tasks.create",
        ada.id,
    )
    yield Exchange(ada.get(), "tasks.list", ada.id)
    yield Exchange(ada.get(cursor=CANARY), "tasks.list", ada.id)
    yield Exchange(ada.get(**{CANARY: CANARY}), "tasks.list", ada.id)
    yield Exchange(ada.patch("/1", {"title": CANARY}), "tasks.patch", ada.id)
    yield Exchange(ada.delete("/999"), "tasks.delete", ada.id)


def strangers(http: httpx.Client, ada: User) -> Iterator[Exchange]:
    """What is refused before it is known whose it is, and what is nobody's."""
    yield Exchange(http.get("/health/ready"), "service.ready")
    yield Exchange(http.get(ada.tasks), "tasks.list")
    yield Exchange(http.get(ada.tasks, headers={"Authorization": f"Bearer {CANARY}"}), "tasks.list")
    yield Exchange(http.get(ada.tasks, headers={"Authorization": f"Basic {CANARY}"}), "tasks.list")
    yield Exchange(http.get(ada.tasks, params={"access_token": ada.headers["Authorization"]}), "tasks.list")
    yield Exchange(http.get(f"/api/{CANARY}/tasks", headers=ada.headers), "tasks.list", ada.id)
    yield Exchange(http.get(f"/api/{CANARY}", headers=ada.headers), "none")
    yield Exchange(http.post("/health/live", content=CANARY), "none")
    yield Exchange(http.request("PURGE", ada.tasks, headers=ada.headers), "none")


def broken(server: Server, ada: User) -> Exchange:
    """A failure of the server itself, with its traceback: a rule of its database unknown to it."""
    with server.database() as connection:
        connection.execute(text("DELETE FROM tasks"))
        connection.execute(text("CREATE UNIQUE INDEX one_task_each ON tasks (user_id)"))
    ada.post(TASK)
    answer = ada.post(TASK)
    assert answer.status_code == 500
    return Exchange(answer, "tasks.create", ada.id)


def raw(server: Server, request: str) -> None:
    """Send what no HTTP library would."""
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=5) as connection:
        connection.sendall(request.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_requests_were_good_and_bad(played: Played):
    statuses = {exchange.answer.status_code for exchange in played.exchanges}
    assert statuses == {200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 422, 500}


def test_every_request_is_one_line(played: Played):
    logged = [line["request_id"] for line in played.lines if line["event"] == "request"]
    for exchange in played.exchanges:
        assert logged.count(exchange.answer.headers["x-request-id"]) == 1


def test_line_says_who_asked_for_what_and_what_came_of_it(played: Played):
    lines = {line["request_id"]: line for line in played.lines if line["event"] == "request"}
    for answer, operation, user in played.exchanges:
        line = lines[answer.headers["x-request-id"]]
        assert line["operation"] == operation
        assert line["method"] == (answer.request.method if operation != "none" else "other")
        assert line["status"] == answer.status_code
        assert 0 < line["duration_ms"] < 20_000
        assert line["user"] == user


def test_failure_of_the_server_is_logged_under_its_request(played: Played):
    [failure] = [line for line in played.lines if line["level"] == "error"]
    assert failure["request_id"] == played.exchanges[-1].answer.headers["x-request-id"]
    assert "Traceback" in failure["exception"]


def test_nothing_that_was_sent_is_in_the_log(played: Played):
    assert CANARY not in played.log.lower()


@pytest.mark.parametrize("part", ["header", "payload", "signature"])
def test_no_part_of_a_token_is_in_the_log(played: Played, part: str):
    parts = dict(zip(("header", "payload", "signature"), played.token.split("."), strict=True))
    assert parts[part] not in played.log


def test_claims_of_an_outside_token_are_not_in_the_log(secret_server: Server, http: httpx.Client):
    ada = User(http, "ada-in-the-log", sign_token("ada-in-the-log", email=EMAIL, name=CANARY))
    ada.create_task()
    ada.get()  # once it is answered, the line of the request before it is written
    assert ada.id in secret_server.log
    assert CANARY not in secret_server.log
