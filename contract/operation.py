"""One operation of the contract, compiled at startup: its `__call__` is the path of every request."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from connexion.operations import AbstractOperation
from starlette.types import Send

from contract import strict_json
from contract.bodies import BodyLimits, JsonBody, check_headers
from contract.parameters import HeaderParameters, PathParameters, QueryParameters, to_argument_name
from contract.problems import InvalidRequest
from contract.request import Request, current_request

Response = tuple[Any, int, dict[str, str]]
"""The response of a handler: body, status, further headers.

The body is JSON-ready but for aware datetimes in UTC, which become RFC 3339; bytes are sent as they are.
An iterator becomes an array, and HEAD does not consume it.
"""

Handler = Callable[..., Awaitable[Response]]

_PRIVATE = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization")]


class Gate(Protocol):
    """Decides who may call an operation."""

    async def admit(self, request: Request) -> None:
        """Raise a problem if the token, the ownership or the rate limit forbids the request."""


class Operation:
    """An operation: its gate, its parameters, its handler.

    Raise TypeError at startup if the handler's arguments are not those of the contract.
    """

    def __init__(self, operation: AbstractOperation, gate: Gate, body_limits: BodyLimits) -> None:
        self.name: str = operation.operation_id.removeprefix("handlers.")
        types = operation.get_path_parameter_types()
        self.path_numbers = frozenset(name for name, of_type in types.items() if of_type == "integer")
        self._gate = gate
        self._path = PathParameters(operation.parameters)
        self._query = QueryParameters(operation.parameters)
        self._headers = HeaderParameters(operation.parameters)
        self._limits = body_limits
        self._body = JsonBody(operation.request_body, body_limits) if operation.request_body else None
        self._handler: Handler = operation.function
        self._media_types = _find_media_types(operation)
        self._fixed_headers = _PRIVATE if operation.security else []
        _check_signature(operation)

    async def __call__(self, request: Request, send: Send) -> None:
        """Admit the request, read its arguments, call the handler, respond."""
        await self._gate.admit(request)
        arguments = await self.read_arguments(request)
        current_request.set(request)
        response = await self._handler(**arguments)
        await self._respond(request, response, send)

    async def read_arguments(self, request: Request) -> dict[str, Any]:
        """Return the handler's arguments.

        Raise NotFound for a violation in the path, InvalidRequest with all others, and what check_headers
        and JsonBody.read raise.
        """
        self._path.check(request.path_arguments)
        check_headers(request.headers, self._limits)
        query, violations = self._query.parse(request.scope["query_string"])
        headers, header_violations = self._headers.parse(request.headers)
        violations = violations + header_violations
        arguments = {**query, **request.path_arguments, **headers}
        if self._body is not None:
            arguments["body"], body_violations = await self._body.read(request)
            violations = violations + body_violations
        if violations:
            raise InvalidRequest(violations)
        return arguments

    async def _respond(self, request: Request, response: Response, send: Send) -> None:
        body, status, headers = response
        is_sent = request.record.method != "HEAD" or not isinstance(body, Iterator)
        content = _serialize(body) if is_sent else b""
        raw = self._fixed_headers[1:] if "Cache-Control" in headers else [*self._fixed_headers]
        raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        if body is not None:
            raw.append((b"content-type", self._media_types[status]))
        if body is not None and is_sent:  # HEAD may omit what only rendering can tell (RFC 9110 9.3.2)
            raw.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


def _serialize(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return strict_json.dumps([*body] if isinstance(body, Iterator) else body)


def _find_media_types(operation: AbstractOperation) -> dict[int, bytes]:
    """Return the media type of each status with a body: text with `charset=utf-8`, JSON without."""
    return {
        int(status): media_type.encode() + (b"; charset=utf-8" if media_type.startswith("text/") else b"")
        for status, response in operation.responses.items()
        for media_type in [*response.get("content", {})][:1]
    }


def _check_signature(operation: AbstractOperation) -> None:
    given = {p["name"] for p in operation.parameters if p["in"] in {"path", "query"}}
    given |= {to_argument_name(p["name"]) for p in operation.parameters if p["in"] == "header"}
    given |= {"body"} if operation.request_body else set()
    taken = set(inspect.signature(operation.function).parameters)
    if given != taken:
        raise TypeError(f"{operation.operation_id} takes {sorted(taken)}; the contract gives {sorted(given)}")
