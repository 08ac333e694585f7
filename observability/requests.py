"""The outermost middleware: request id, log record and metrics of each request."""

import logging
import secrets
import sys
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability import logs, metrics
from observability.traces import find_parent

log = logging.getLogger("todo.requests")


def new_request_id() -> str:
    """Return a new request id. A client's own is ignored, because it would be in the logs."""
    return secrets.token_hex(16)


class ObservabilityMiddleware:
    """Gives every response an id and logs every request once."""

    def __init__(self, next_app: ASGIApp) -> None:
        self.next_app = next_app
        self._log = _log_record if sys.stdout.isatty() else _log_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify, time, count and log one request."""
        if scope["type"] != "http":
            return await self.next_app(scope, receive, send)
        request_id = scope["request_id"] = new_request_id()
        extensions = scope.setdefault("extensions", {})
        about: logs.Fields = {"request_id": request_id}
        if (parent := find_parent(scope["headers"])) is not None:
            scope["trace_parent"] = parent
            about |= {"trace_id": parent.trace_id, "parent_id": parent.span_id}
        logs.about_request.set(about)
        status = 500
        started = time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self.next_app(scope, receive, named)
        finally:
            self._record(scope["method"], extensions, about, status, time.perf_counter() - started)

    def _record(
        self, method: str, extensions: dict[str, Any], about: logs.Fields, status: int, duration_s: float
    ) -> None:
        operation = operation_of(extensions)
        method = method if operation != "none" else "other"  # a client may invent any number of methods
        metrics.observe(operation, method, status, duration_s)
        if not log.isEnabledFor(logging.INFO):
            return
        found = {
            "method": method,
            "operation": operation,
            "status": status,
            "duration_ms": round(duration_s * 1000, 2),
            "user": extensions.get("connexion_context", {}).get("user"),
        }
        self._log(found | about)


def operation_of(extensions: dict[str, Any]) -> str:
    """Return the operationId of the contract, from the name of the function that Connexion has found."""
    resolved = extensions.get("connexion_routing", {}).get("operation_id") or "none"
    return str(resolved).removeprefix("handlers.")


def _log_json(found: logs.Fields) -> None:
    logs.write(logs.head(time.time(), "info", log.name, "request") | found)


def _log_record(found: logs.Fields) -> None:
    log.info("request", extra=found)
