"""Calls the handler of an operation and sends its response, in place of Connexion's last app."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import Receive, Scope, Send

from contract import strict_json
from contract.parameters import argument_name

Reply = tuple[Any, int, dict[str, str]]
"""What a handler gives: the body, the status, more headers.

The body is JSON-ready but for aware datetimes in UTC, which become RFC 3339; bytes are sent as they are.
An iterator becomes an array, and HEAD does not consume it.
"""

Handler = Callable[..., Awaitable[Reply]]

request_scope: ContextVar[Scope] = ContextVar("request_scope")
"""The ASGI scope of the request whose handler runs."""

_PRIVATE = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization")]


class ReplyOperation:
    """The handler of one operation. Its arguments are compared with the contract at startup."""

    def __init__(self, operation: AbstractOperation) -> None:
        self._handler: Handler = operation.function
        self._media_types = _media_types(operation)
        self._fixed_headers = _PRIVATE if operation.security else []
        _check_signature(operation)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Call the handler with the validated arguments and send its response."""
        request_scope.set(scope)
        body, status, headers = await self._handler(**scope["arguments"])
        is_sent = scope["method"] != "HEAD" or not isinstance(body, Iterator)
        content = rendered(body) if is_sent else b""
        raw = [*self._fixed_headers]
        raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        if body is not None:
            raw.append((b"content-type", self._media_types[status]))
        if body is not None and is_sent:  # HEAD may omit what takes rendering to know (RFC 9110 9.3.2)
            raw.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


class ReplyAPI(RoutedAPI):
    """The handlers of the contract, by operationId."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ReplyOperation:
        """Return the operation, for Connexion, which calls this for each at startup."""
        return ReplyOperation(operation)


class ReplyMiddleware(RoutedMiddleware):
    """The last app. Connexion's own rebuilds the handler's decorators for each request."""

    api_cls = ReplyAPI


def rendered(body: Any) -> bytes:
    """Serialize the handler's response body."""
    if body is None or isinstance(body, bytes):
        return body or b""
    return strict_json.dumps([*body] if isinstance(body, Iterator) else body)


def _media_types(operation: AbstractOperation) -> dict[int, bytes]:
    """Return the media type of each status with a body: text with `charset=utf-8`, JSON without."""
    return {
        int(status): media_type.encode() + (b"; charset=utf-8" if media_type.startswith("text/") else b"")
        for status, response in operation.responses.items()
        for media_type in [*response.get("content", {})][:1]
    }


def _check_signature(operation: AbstractOperation) -> None:
    given = {p["name"] for p in operation.parameters if p["in"] in {"path", "query"}}
    given |= {argument_name(p["name"]) for p in operation.parameters if p["in"] == "header"}
    given |= {"body"} if operation.request_body else set()
    taken = set(inspect.signature(operation.function).parameters)
    if given != taken:
        raise TypeError(f"{operation.operation_id} takes {sorted(taken)}; the contract gives {sorted(given)}")
