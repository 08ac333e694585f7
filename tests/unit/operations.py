"""Validate requests to the operations of the contract in process: no server, no token, no handler."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from connexion.resolver import RelativeResolver
from connexion.spec import Specification
from starlette.types import Message

from contract.bodies import BodyLimits
from contract.problems import InvalidRequest
from contract.request import Request
from contract.routing import Routes
from contract.validation import load_contract
from security.gate import Gate
from tests.support.contract_checks import operations

Headers = Iterable[tuple[bytes, bytes]]

TASK = b'{"title": "Buy milk"}'
PATH = {"user_id": "ada", "task_id": 1}
PATHS = {operation.id: operation.path for operation in operations()}
METHODS = {operation.id: operation.method for operation in operations()}


def chunks(*parts: bytes) -> Iterator[Message]:
    """Yield the messages of a body that arrives in these parts."""
    for number, part in enumerate(parts, 1):
        yield {"type": "http.request", "body": part, "more_body": number < len(parts)}


_ROUTES = Routes(
    Specification.load(load_contract()),
    resolver=RelativeResolver("handlers"),
    body_limits=BodyLimits(max_bytes=65_536, timeout_s=10),
    make_gate=lambda operation: Gate(operation, rate_limits=None),
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

    scope: dict[str, Any] = {
        "method": METHODS[operation],
        "query_string": query.encode(),
        "headers": [(b"content-type", b"application/json"), *headers],
    }

    async def read() -> dict[str, Any]:
        request = Request(scope, receive)
        found, request.path_arguments = _ROUTES.find(METHODS[operation], PATHS[operation].format(**PATH))
        return await found.read_arguments(request)

    return asyncio.run(read())


def violations(operation: str, **request: Any) -> list[tuple[str, str, str]]:
    """Return `in`, `pointer` and `keyword` of each violation, sorted; an empty list for a valid request."""
    try:
        arguments(operation, **request)
    except InvalidRequest as problem:
        return sorted((found["in"], found["pointer"], found["keyword"]) for found in problem.violations)
    return []


def problem_of(operation: str, **request: Any) -> InvalidRequest:
    """Return the problem of an invalid request."""
    with pytest.raises(InvalidRequest) as raised:
        arguments(operation, **request)
    return raised.value


def body_violations(operation: str, body: Any) -> list[tuple[str, str]]:
    """Return `pointer` and `keyword` of each violation of a JSON body, sorted."""
    found = violations(operation, body=json.dumps(body).encode())
    assert {where for where, _, _ in found} <= {"body"}
    return [(pointer, keyword) for _, pointer, keyword in found]
