"""Deletes the data of one owner in batches, so that no other write waits long."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Integer,
    Select,
    Table,
    bindparam,
    delete,
    select,
    true,
    tuple_,
)

from contract.problems import Unavailable
from persistence.database import Database
from persistence.tables import idempotency_keys, import_progress, tasks

BATCH_SIZE = 1000
CLEAR_TIMEOUT_S = 3  # a response must arrive within 5 s


class _Batch(NamedTuple):
    """The statement that finds the last row of a batch, and the one that deletes the rows up to it.

    They are deleted in the order of an index. In any other order, two deletions of the same rows end in a
    deadlock.
    """

    find_last: Select[Any]
    delete: Delete


def _create_batch(table: Table, order: Sequence[Column[Any]], *conditions: ColumnElement[bool]) -> _Batch:
    """Return the statements for the rows of an owner in this order, which is that of an index."""
    mine = (table.c.user_id == bindparam("owner"), *conditions)
    first = select(*order).where(*mine).order_by(*order).limit(bindparam("at_most", type_=Integer)).subquery()
    last = select(first).order_by(*(column.desc() for column in first.c)).limit(1)
    position = tuple_(*(bindparam(column.name, type_=column.type) for column in order))
    return _Batch(last, delete(table).where(*mine, tuple_(*order) <= position))


_OLDEST = (tasks.c.created_at, tasks.c.id)
_ALL_TASKS = _create_batch(tasks, _OLDEST)
_COMPLETED_TASKS = _create_batch(tasks, _OLDEST, tasks.c.completed == true())
_ALL_KEYS = _create_batch(idempotency_keys, [idempotency_keys.c.key])
_PROGRESS = delete(import_progress).where(import_progress.c.user_id == bindparam("owner"))


async def clear(db: Database, owner: str, *, status: str, timeout_s: float = CLEAR_TIMEOUT_S) -> int:
    """Delete the completed tasks of `owner`, or all tasks and the stored responses. Return how many tasks.

    Raise Unavailable if the time does not suffice. A repeated call continues.
    """
    deadline = time.monotonic() + timeout_s
    if status == "completed":
        return await _clear(db, owner, _COMPLETED_TASKS, deadline)
    await _clear(db, owner, _ALL_KEYS, deadline)
    return await _clear(db, owner, _ALL_TASKS, deadline)


async def _clear(db: Database, owner: str, batch: _Batch, deadline: float) -> int:
    """Delete batches until no row is left: another request may delete the rows of a batch, too."""
    deleted = 0
    while (last := await _find_last(db, owner, batch)) is not None:
        if deleted and time.monotonic() > deadline:
            raise Unavailable("Not all tasks could be deleted in time. Try again.", retry_after_s=1)
        deleted += await db.execute(batch.delete, last)
    return deleted


async def _find_last(db: Database, owner: str, batch: _Batch) -> dict[str, Any] | None:
    """Return the parameters of `batch.delete`. None if no row is left."""
    last = await db.fetch_one(batch.find_last, {"owner": owner, "at_most": BATCH_SIZE})
    return None if last is None else {"owner": owner, **last._asdict()}


async def _remove(db: Database, owner: str, batch: _Batch) -> int:
    last = await _find_last(db, owner, batch)
    return 0 if last is None else await db.execute(batch.delete, last)


async def remove_tasks(db: Database, owner: str) -> int:
    """Delete at most BATCH_SIZE tasks of `owner`, and return how many; 0 if none is left."""
    return await _remove(db, owner, _ALL_TASKS)


async def remove_keys(db: Database, owner: str) -> int:
    """Delete the stored responses of `owner` in the same way."""
    return await _remove(db, owner, _ALL_KEYS)


async def remove_import_progress(db: Database, owner: str) -> None:
    """Delete the progress of all imports of `owner`, a row for each interrupted import."""
    await db.execute(_PROGRESS, {"owner": owner})
