"""What the tests of faults ask of someone's tasks: all of them, and a new one under a key."""

from typing import Any

import httpx
from sqlalchemy import inspect, text

from tests.support.server import Server
from tests.support.users import User

MILK = {"title": "Buy milk"}


def tasks_of(person: User) -> list[dict[str, Any]]:
    """Every task, page by page."""
    found: list[dict[str, Any]] = []
    path: str | None = person.tasks
    while path:
        answer = person.http.get(path, headers=person.headers)
        assert answer.status_code == 200, answer.text
        found += answer.json()
        path = answer.links.get("next", {}).get("url")
    return found


def titles_of(person: User) -> list[str]:
    return [task["title"] for task in tasks_of(person)]


def post(person: User, key: str, body: Any = MILK) -> httpx.Response:
    """That body, under that Idempotency-Key."""
    return person.request("POST", json=body, headers={"Idempotency-Key": key})


def post_keyed(person: User, key: str, **fields: Any) -> httpx.Response:
    """A new task, titled as its Idempotency-Key."""
    return post(person, key, {"title": key} | fields)


def multiply_tasks(server: Server, doublings: int = 10) -> None:
    """Make 1024 of each task that the server has, past the server."""
    with server.database() as connection:
        columns = [
            found["name"] for found in inspect(connection).get_columns("tasks") if found["name"] != "id"
        ]
        names = ", ".join(columns)
        for _ in range(doublings):
            connection.execute(text(f"INSERT INTO tasks ({names}) SELECT {names} FROM tasks"))
