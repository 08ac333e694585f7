"""Deletes the data of one owner in batches, so that no other write waits long."""

import time
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Delete, Integer, Select, bindparam, delete, select, true

from contract.problems import Unavailable
from persistence.database import Database
from persistence.tables import idempotency_keys, import_progress, tasks

BATCH_SIZE = 1000
CLEAR_TIMEOUT_S = 3  # a response must arrive within 5 s

_KEYS = idempotency_keys.c
_AT_MOST = bindparam("at_most", type_=Integer)
_MY_TASKS = tasks.c.user_id == bindparam("owner")
_MY_KEYS = _KEYS.user_id == bindparam("owner")


class _Batch(NamedTuple):
    """The statement that finds the rows of the next batch, and the statement that deletes the rows."""

    find: Select[Any]
    delete: Delete


def _create_batch(*conditions: ColumnElement[bool]) -> _Batch:
    oldest = select(tasks.c.id).where(_MY_TASKS, *conditions).order_by(tasks.c.created_at).limit(_AT_MOST)
    return _Batch(oldest, delete(tasks).where(_MY_TASKS, *conditions, tasks.c.id.in_(oldest)))


_ALL_TASKS = _create_batch()
_COMPLETED_TASKS = _create_batch(tasks.c.completed == true())
_SOME_KEYS = select(_KEYS.key).where(_MY_KEYS).limit(_AT_MOST)
_ALL_KEYS = _Batch(_SOME_KEYS, delete(idempotency_keys).where(_MY_KEYS, _KEYS.key.in_(_SOME_KEYS)))
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
    while await db.fetch_one(batch.find, {"owner": owner, "at_most": 1}) is not None:
        if deleted and time.monotonic() > deadline:
            raise Unavailable("Not all tasks could be deleted in time. Try again.", retry_after_s=1)
        deleted += await db.execute(batch.delete, {"owner": owner, "at_most": BATCH_SIZE})
    return deleted


async def remove_tasks(db: Database, owner: str) -> int:
    """Delete at most BATCH_SIZE tasks of `owner`, and return how many; 0 if none is left."""
    return await db.execute(_ALL_TASKS.delete, {"owner": owner, "at_most": BATCH_SIZE})


async def remove_keys(db: Database, owner: str) -> int:
    """Delete the stored responses of `owner` in the same way."""
    return await db.execute(_ALL_KEYS.delete, {"owner": owner, "at_most": BATCH_SIZE})


async def remove_import_progress(db: Database, owner: str) -> None:
    """Delete the progress of all imports of `owner`, a row for each interrupted import."""
    await db.execute(_PROGRESS, {"owner": owner})
