"""One HTTP request, as the edge passes it to its operation."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from starlette.types import Receive, Scope

from observability.request_records import RequestRecord

Headers = Mapping[bytes, list[bytes]]
"""The values of each header, by its name in lower case."""


class Request:
    """A request: its ASGI scope, its headers, its log record, and the parameters of its path."""

    __slots__ = ("header_bytes", "headers", "path_arguments", "receive", "record", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.header_bytes = 0
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self.header_bytes += len(name) + len(value)
            headers.setdefault(name, []).append(value)
        self.headers: Headers = headers
        self.record = RequestRecord(scope["method"], headers.get(b"traceparent", ()))
        self.path_arguments: dict[str, Any] = {}


current_request: ContextVar[Request] = ContextVar("current_request")
"""The request whose handler runs."""
