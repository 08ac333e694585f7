"""People who use the API: each has a token, and paths of their own."""

import itertools
import time
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

SECRET = "tests-" * 8 + "only"  # shared by the server under test and the frontend that these tests are
MISSING = 2**63 - 1  # the largest task id there can be, and nobody's
_numbers = itertools.count(1)


def token(user_id: str, **claims: Any) -> str:
    """A token as a frontend mints it that shares its secret with the server. A claim of None is left out.

    It lasts an hour: some are made when the tests are collected.
    """
    now = int(time.time())
    payload = {"sub": user_id, "email": f"{user_id}@example.com", "iat": now, "exp": now + 3600} | claims
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, SECRET, "HS256")


class Person:
    """Someone signed in. Paths are relative to their tasks: `ada.get("/7")` is GET /api/ada/tasks/7."""

    def __init__(self, http: httpx.Client, user_id: str, bearer: str) -> None:
        self.http = http
        self.id = user_id
        self.headers = {"Authorization": f"Bearer {bearer}"}
        self.tasks = f"/api/{user_id}/tasks"

    def request(
        self, method: str, path: str = "", *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        return self.http.request(
            method, self.tasks + path, headers=self.headers | dict(headers or {}), **options
        )

    def get(self, path: str = "", **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params)

    def post(self, body: Any) -> httpx.Response:
        return self.request("POST", json=body)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.request("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def complete(self, task_id: int, **options: Any) -> httpx.Response:
        return self.request("PATCH", f"/{task_id}/complete", **options)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def has_task(self, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
        """A new task of theirs, as the server gave it."""
        answer = self.post({"title": title} | fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


def new_person(http: httpx.Client, name: str = "ada") -> Person:
    """Someone the server has never seen, with an id that begins with `name`."""
    user_id = f"{name}-{next(_numbers)}"
    return Person(http, user_id, token(user_id))
