"""Opaque cursors: the position in one list at which the next page begins."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from contract.problems import InvalidCursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_ID = 2**63 - 1


class ListIdentity(NamedTuple):
    """The parameters that identify a list."""

    owner: str
    status: str
    sort: str
    order: str


class Position(NamedTuple):
    """The last task of a page: its value in the sort column, and its id."""

    value: datetime | str
    task_id: int


def encode(position: Position, of: ListIdentity) -> str:
    """Return the cursor for the tasks after `position`."""
    value = position.value
    packed = value if isinstance(value, str) else (value - _EPOCH) // _MICROSECOND
    content = orjson.dumps([packed, position.task_id, _compute_digest(of)])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(cursor: str, of: ListIdentity) -> Position:
    """Return the position in `cursor`. Raise InvalidCursor if it is not one of this list."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        packed, task_id, digest = orjson.loads(content)
        if digest != _compute_digest(of) or type(task_id) is not int or not 0 < task_id <= _MAX_ID:
            raise ValueError("another list's")
        return Position(_check_title(packed) if of.sort == "title" else _parse_time(packed), task_id)
    except (ValueError, TypeError, OverflowError):
        raise InvalidCursor from None


def _check_title(packed: Any) -> str:
    if not isinstance(packed, str) or "\0" in packed:
        raise ValueError("no title")
    return packed


def _parse_time(packed: Any) -> datetime:
    if type(packed) is not int:
        raise ValueError("no time")
    return _EPOCH + packed * _MICROSECOND


def _compute_digest(of: ListIdentity) -> str:
    """Return a digest of the list, without a secret: a forged cursor still lists only the owner's tasks."""
    return hashlib.sha256("\n".join(of).encode()).hexdigest()[:16]
