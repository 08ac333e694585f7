"""Checks the lines of an import by the contract, and buffers them until all are valid."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import orjson

from cli.errors import CommandError
from contract import strict_json
from contract.problems import InvalidRequest
from contract.validation import create_validator
from contract.violations import FORMATS
from persistence.imports import NewTask

MAX_LINE_BYTES = 65536  # as of a request body; the longest task is 27 kB with every character escaped
_TIME = {"type": "string", "format": "date-time"}
_TIMES = {"properties": {"created_at": _TIME, "updated_at": _TIME}}


class CheckedTasks:
    """The valid tasks of a file, buffered on disk because there may be millions of them."""

    def __init__(self) -> None:
        self._tasks = TemporaryFile()  # noqa: SIM115 - closed with its last reference
        self._hash = hashlib.sha256()
        self.count = 0

    @property
    def digest(self) -> str:
        """Return a digest of the content."""
        return self._hash.hexdigest()

    def add(self, line: bytes, task: NewTask | None) -> None:
        """Add the next line and its task, if there is one."""
        self._hash.update(line)
        if task is not None:
            self._tasks.write(orjson.dumps([*task]) + b"\n")
            self.count += 1

    def batches(self, size: int, *, after: int) -> Iterator[list[NewTask]]:
        """Yield the tasks after the first `after`, in batches, in their order."""
        self._tasks.seek(0)
        lines = islice(self._tasks, after, None)
        while batch := [_load_task(line) for line in islice(lines, size)]:
            yield batch


def check_lines(file: BinaryIO, *, now: datetime, advance: Callable[[int], object]) -> CheckedTasks:
    """Return the tasks of a file. A task without times gets `now`.

    Raise CommandError with the number of the first invalid line and its violation, without the value.
    """
    find_violations = create_validator("TaskInput", _TIMES).find_violations
    checked = CheckedTasks()
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
        if len(line) > MAX_LINE_BYTES:
            raise CommandError(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        value = _parse_line(line, number)
        if number == 1 and isinstance(value, dict) and value.get("type") == "user":
            checked.add(line, None)
        elif found := find_violations(value):
            raise CommandError(f"line {number}: {found[0]['detail']}")
        else:
            checked.add(line, _parse_task(value, number, now))
        advance(len(line))
    return checked


def _parse_line(line: bytes, number: int) -> Any:
    try:
        return strict_json.loads(line)
    except InvalidRequest:
        raise CommandError(f"line {number} is not valid JSON in UTF-8") from None


def _parse_task(value: dict[str, Any], number: int, now: datetime) -> NewTask:
    created_at = _parse_time(value, "created_at", number, now)
    updated_at = _parse_time(value, "updated_at", number, created_at)
    if updated_at < created_at:
        raise CommandError(f"line {number}: updated_at: must not be before created_at")
    return NewTask(
        value["title"], value.get("description"), value.get("completed", False), created_at, updated_at
    )


def _parse_time(value: dict[str, Any], name: str, number: int, default: datetime) -> datetime:
    """Parse a time. Raise CommandError for second 60, year 0 and zones that Python does not support."""
    try:
        return datetime.fromisoformat(value[name].upper()).astimezone(UTC) if name in value else default
    except (ValueError, OverflowError):
        raise CommandError(f"line {number}: {name}: {FORMATS['date-time']}") from None


def _load_task(line: bytes) -> NewTask:
    title, description, completed, *times = orjson.loads(line)
    return NewTask(title, description, completed, *map(datetime.fromisoformat, times))
