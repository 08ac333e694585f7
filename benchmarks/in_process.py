"""Measure the cost of the contract: GET one task in process, without socket, database and token verification.

`make bench` prints the microseconds of a request through Connexion as it comes, and as app.py assembles it,
from the same contract, hook and handlers; then what the token adds.
"""

import asyncio
import functools
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import jwt
from connexion import AsyncApp, context
from connexion.resolver import RelativeResolver
from connexion.utils import get_function_from_name

from app import create_app, create_verifier
from contract.request import current_request
from contract.validation import CONTRACT_FILE
from observability import logs
from settings import Settings

SECRET = "benchmark-" * 4
REQUESTS, ROUNDS = 3000, 7
NOW = datetime.now(UTC)
ROW = SimpleNamespace(
    id=1,
    user_id="ada",
    title="Buy milk",
    description=None,
    completed=False,
    created_at=NOW,
    updated_at=NOW,
    version=1,
)


class StillDatabase:
    """A database that returns the same row for every statement."""

    async def fetch_one(self, *_: object) -> SimpleNamespace:
        return ROW


class Trust:
    """A verifier that accepts every token as Ada's."""

    async def verify(self, _token: str) -> str:
        return "ada"


def as_it_comes() -> Any:
    """Return Connexion with its default middlewares, for which each handler names its media type."""

    def find(name: str) -> Callable[..., Any]:
        handler = get_function_from_name(name)

        @functools.wraps(handler)
        async def typed(**arguments: Any) -> tuple[Any, int, dict[str, str]]:
            current_request.set(cast(Any, SimpleNamespace(scope=context.scope)))
            # Connexion validates headers, and passes none on.
            body, status, headers = await handler(**arguments, if_none_match=None)
            return body, status, headers | {"Content-Type": "application/json"}

        return typed

    app = AsyncApp("benchmark")
    app.add_api(CONTRACT_FILE, resolver=RelativeResolver("handlers", find), strict_validation=True)
    return app


async def microseconds(app: Any, state: dict[str, Any]) -> float:
    """Return the mean time of REQUESTS requests."""
    token = jwt.encode({"sub": "ada", "exp": time.time() + 900}, SECRET, "HS256").encode()
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + token), (b"accept", b"*/*")]
    answers = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    gc.collect()
    began = time.perf_counter()
    for _ in range(REQUESTS):
        await app(scope(headers, state), receive, send)
    took = time.perf_counter() - began
    assert answers == [200] * REQUESTS
    return took / REQUESTS * 1e6


def scope(headers: list[tuple[bytes, bytes]], state: dict[str, Any]) -> dict[str, Any]:
    path = "/api/ada/tasks/1"
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "state": dict(state),
    }  # fmt: skip


async def main() -> None:
    settings = Settings(database_url="sqlite:///none.db", better_auth_secret=SECRET, rate_limit=False)
    ours, theirs = create_app(settings), as_it_comes()
    services: Any = SimpleNamespace(database=StillDatabase(), issuer=None)
    trusting = {"services": services, "verifier": Trust()}
    checking = trusting | {"verifier": create_verifier(settings, None)}
    systems: dict[str, Callable[[], Awaitable[float]]] = {
        "Connexion as it comes": lambda: microseconds(theirs, trusting),
        "as assembled here": lambda: microseconds(ours, trusting),
        "as assembled here, its token remembered": lambda: microseconds(ours, checking),
    }
    rounds = [{name: await measure() for name, measure in systems.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in systems}
    for name, median in medians.items():
        print(f"{median:8.0f} µs  {name}")
    first, second, _ = medians.values()
    print(f"{first / second:8.1f}     times less")


if __name__ == "__main__":
    logs.configure("WARNING", version="1", with_colour=False)
    asyncio.run(main())
