"""Users of the API: each has a token and the paths of their own tasks."""

import itertools
import time
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

SECRET = "tests-" * 8 + "only"  # the BETTER_AUTH_SECRET of the servers under test
MISSING = 2**63 - 1  # the largest task id, which no task has
_numbers = itertools.count(1)


def sign_token(user_id: str, **claims: Any) -> str:
    """Sign a token with SECRET, as a frontend with a shared secret does. A claim of None is left out.

    The token is valid for an hour, because some are made when the tests are collected.
    """
    now = int(time.time())
    payload = {"sub": user_id, "email": f"{user_id}@example.com", "iat": now, "exp": now + 3600} | claims
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, SECRET, "HS256")


class User:
    """A signed-in user. Paths are relative to their tasks: `ada.get("/7")` sends GET /api/ada/tasks/7."""

    def __init__(self, http: httpx.Client, user_id: str, bearer: str) -> None:
        self.http = http
        self.id = user_id
        self.token = bearer
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

    def post(self, body: Any, **headers: str) -> httpx.Response:
        return self.request("POST", json=body, headers=headers)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.request("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def complete(self, task_id: int, **options: Any) -> httpx.Response:
        return self.request("PATCH", f"/{task_id}/complete", **options)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def create_task(self, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
        """Create a task and return it as the server sent it."""
        response = self.post({"title": title} | fields)
        assert response.status_code == 201, response.text
        return dict(response.json())

    def post_with_key(self, key: str, body: Any = None) -> httpx.Response:
        """Send POST with an Idempotency-Key. The default body is a task with the key as its title."""
        body = {"title": key} if body is None else body
        return self.request("POST", json=body, headers={"Idempotency-Key": key})

    def list_all(self, **params: Any) -> list[dict[str, Any]]:
        """Return every task, page by page."""
        found: list[dict[str, Any]] = []
        response = self.get(**params)
        while True:
            assert response.status_code == 200, response.text
            found += response.json()
            if "next" not in response.links:
                return found
            response = self.http.get(response.links["next"]["url"], headers=self.headers)

    def titles(self) -> list[str]:
        """Return the title of every task."""
        return [task["title"] for task in self.list_all()]

    def on(self, http: httpx.Client) -> "User":
        """Return the same user with another client, for instance of another server."""
        return User(http, self.id, self.token)


def new_user(http: httpx.Client, name: str = "ada") -> User:
    """Return a user whose id begins with `name` and is new to the server."""
    user_id = f"{name}-{next(_numbers)}"
    return User(http, user_id, sign_token(user_id))
