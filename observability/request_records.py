"""The log record and the metrics of one request."""

import logging
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache

from observability import logs, metrics
from observability.traces import find_parent

log = logging.getLogger("todo.requests")


def _generate_ids() -> Iterator[str]:
    """Yield random ids of 32 hexadecimal digits. The system is asked for many at once."""
    while True:
        digits = secrets.token_hex(16 * 64)
        yield from (digits[start : start + 32] for start in range(0, len(digits), 32))


_IDS = _generate_ids()


def new_request_id() -> str:
    """Return a new request id. A client's own is ignored, because it would be in the logs."""
    return next(_IDS)


class RequestRecord:
    """One request, as it is logged and counted. The layers that learn a field set it."""

    __slots__ = ("_started", "fields", "id", "method", "operation", "parent", "status", "user")

    def __init__(self, method: str, traceparents: Sequence[bytes]) -> None:
        self._started = time.perf_counter()
        self.id = new_request_id()
        self.method = method
        self.operation = "none"
        self.user: str | None = None
        self.status: int | None = None
        self.parent = find_parent(traceparents)
        self.fields: logs.Fields = {"request_id": self.id}
        if self.parent is not None:
            self.fields |= {"trace_id": self.parent.trace_id, "parent_id": self.parent.span_id}
        logs.request_fields.set(self.fields)

    def write(self) -> None:
        """Count and log the request. Without a response its status is 500."""
        duration_s = time.perf_counter() - self._started
        status = self.status or 500
        method = self.method if self.operation != "none" else "other"  # clients can invent methods
        metrics.observe(self.operation, method, status, duration_s)
        if not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "method": method,
            "operation": self.operation,
            "status": status,
            "duration_ms": round(duration_s * 1000, 2),
            "user": self.user,
        }
        if _is_terminal():
            log.info("request", extra=fields)
        else:
            logs.write(logs.create_head(time.time(), "info", log.name, "request") | fields | self.fields)


@cache
def _is_terminal() -> bool:
    return sys.stdout.isatty()
