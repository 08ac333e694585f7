"""Validate requests to the operations of the contract in process: no server, no token, no handler."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any

from connexion.resolver import RelativeResolver
from connexion.spec import Specification
from starlette.types import Message, Receive, Scope, Send

from contract.bodies import BodyLimits
from contract.problems import InvalidRequest
from contract.requests import RequestAPI
from contract.schemas import document
from tests.support.contract_checks import operations

Headers = Iterable[tuple[bytes, bytes]]

TASK = b'{"title": "Buy milk"}'
PATH = {"user_id": "ada", "task_id": 1}
PATHS = {operation.id: operation.path for operation in operations()}


def chunks(*parts: bytes) -> Iterator[Message]:
    """Yield the messages of a body that arrives in these parts."""
    for number, part in enumerate(parts, 1):
        yield {"type": "http.request", "body": part, "more_body": number < len(parts)}


async def _accept(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Stand in for the handler."""


_API = RequestAPI(
    Specification.load(document()),
    next_app=_accept,
    resolver=RelativeResolver("handlers"),
    body_limits=BodyLimits(max_bytes=65_536, timeout_s=10),
)


def arguments(
    operation: str, *, query: str = "", headers: Headers = (), body: bytes | Iterator[Message] = TASK
) -> dict[str, Any]:
    """Return the arguments for the handler. Raise the problem if the request breaks the contract.

    `body` is the whole body, or the messages in which it arrives.
    """
    messages = chunks(body) if isinstance(body, bytes) else body

    async def receive() -> Message:
        return next(messages)

    async def send(_message: Message) -> None:
        """Send nothing: the stand-in for the handler returns nothing."""

    scope: dict[str, Any] = {
        "path_params": {name: value for name, value in PATH.items() if f"{{{name}}}" in PATHS[operation]},
        "query_string": query.encode(),
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    asyncio.run(_API.operations[f"handlers.{operation}"](scope, receive, send))
    return dict(scope["arguments"])


def violations(operation: str, **request: Any) -> list[tuple[str, str, str]]:
    """Return `in`, `pointer` and `keyword` of each violation, sorted; an empty list for a valid request."""
    try:
        arguments(operation, **request)
    except InvalidRequest as problem:
        return sorted((found["in"], found["pointer"], found["keyword"]) for found in problem.faults)
    return []


def body_violations(operation: str, body: Any) -> list[tuple[str, str]]:
    """Return `pointer` and `keyword` of each violation of a JSON body, sorted."""
    found = violations(operation, body=json.dumps(body).encode())
    assert {where for where, _, _ in found} <= {"body"}
    return [(pointer, keyword) for _, pointer, keyword in found]
