"""Formats log records for a terminal."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

# https://en.wikipedia.org/wiki/ANSI_escape_code#Colors, by the first digit of a status
_COLOURS = {2: 32, 3: 36, 4: 33, 5: 31}


class ConsoleFormatter(logging.Formatter):
    """A line with the time of day and the event, with the traceback below it.

    `fields` returns the fields of a record.
    """

    def __init__(
        self, fields: Callable[[logging.LogRecord], Mapping[str, Any]], *, with_colour: bool
    ) -> None:
        super().__init__()
        self._fields = fields
        self._with_colour = with_colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without the line break."""
        found = dict(self._fields(record))
        is_request = record.getMessage() == "request" and "operation" in found
        what = self._request(found) if is_request else _format_event(record, found)
        line = time.strftime("%H:%M:%S ", time.localtime(record.created)) + what
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    def _request(self, found: dict[str, Any]) -> str:
        status, method, operation, took = (
            found.pop(name) for name in ("status", "method", "operation", "duration_ms")
        )
        user = found.pop("user") or "-"
        ids = " ".join(
            ", ".join(value) if isinstance(value, list) else str(value) for value in found.values()
        )
        return f"{self._colour(status)} {method:6} {operation:16} {took:8.2f} ms  {user}  {ids}"

    def _colour(self, status: int) -> str:
        colour = _COLOURS.get(status // 100)
        return f"\033[{colour}m{status}\033[0m" if self._with_colour and colour else str(status)


def _format_event(record: logging.LogRecord, found: Mapping[str, Any]) -> str:
    words = [record.levelname.lower(), record.name, record.getMessage()]
    words += [f"{name}={value}" for name, value in found.items()]
    # An escape sequence could move the cursor.
    return "".join(c if c.isprintable() else "?" for c in " ".join(words))
