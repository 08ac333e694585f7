"""Imports many tasks of one owner, each once, even if an interrupted import is repeated.

The number of stored tasks of a file is updated in the transaction that stores the tasks, and removed after
the last one. An interrupted import can continue for a day.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from contract.problems import KeyInUse
from persistence.database import Database, Transaction
from persistence.tables import ImportProgressRow, import_progress, tasks

BATCH_SIZE = 1000  # tasks in a transaction, which blocks other writes for about 40 ms
MAX_ROWS = 100  # in one INSERT
LIFETIME = timedelta(hours=24)

_PROGRESS = import_progress.c
_MINE = (_PROGRESS.user_id == bindparam("owner")) & (_PROGRESS.file == bindparam("name"))
_NOW = bindparam("now", type_=_PROGRESS.updated_at.type)
_FIND = select(_PROGRESS.stored).where(_MINE)
_INSERT = upsert(import_progress).values(
    user_id=bindparam("owner"), file=bindparam("name"), stored=0, updated_at=_NOW
)
# Returns no row if there is progress that has not expired.
_BEGIN = _INSERT.on_conflict_do_update(
    index_elements=[_PROGRESS.user_id, _PROGRESS.file],
    set_={"stored": 0, "updated_at": _INSERT.excluded.updated_at},
    where=_PROGRESS.updated_at < bindparam("expired", type_=_PROGRESS.updated_at.type),
).returning(_PROGRESS.stored)
_COUNT_UP = (
    update(import_progress)
    .where(_MINE, _PROGRESS.stored == bindparam("before"))
    .values(stored=bindparam("after"), updated_at=_NOW)
)
_REMOVE = delete(import_progress).where(_MINE)


class NewTask(NamedTuple):
    """A task to import: everything except its id and owner."""

    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


@cache
def _create_insert(count: int) -> Executable:
    """Return an INSERT of `count` tasks, because each statement costs a round trip."""
    return insert(tasks).values([_create_row(number) for number in range(count)])


def _create_row(number: int) -> dict[str, Any]:
    given = {name: bindparam(f"{name}_{number}", type_=tasks.c[name].type) for name in NewTask._fields}
    return {"user_id": bindparam("owner"), "version": 1, **given}


async def begin(db: Database, owner: str, file: str, now: datetime) -> int | None:
    """Begin an import. Return how many tasks an interrupted import of `file` has stored, None without one.

    Raise OwnerMissing if `owner` has no row in users.
    """
    begun = {"owner": owner, "name": file, "now": now, "expired": now - LIFETIME}
    if await db.fetch_one(_BEGIN, begun) is not None:
        return None
    return await _count_stored(db, owner, file) or 0


async def store(
    db: Database, owner: str, rows: Sequence[NewTask], *, file: str, before: int, now: datetime
) -> None:
    """Store these tasks of `owner`, all or none, after the first `before` of `file`.

    Raise KeyInUse when another number is stored: another import of the file runs, or has ended.
    """
    after = before + len(rows)
    count = {"owner": owner, "name": file, "before": before, "after": after, "now": now}

    async def store_and_count(transaction: Transaction) -> None:
        if not await transaction.execute(_COUNT_UP, count):
            if await _count_stored(transaction, owner, file) == after:
                return  # committed, but the connection was lost before the response
            raise KeyInUse
        for start in range(0, len(rows), MAX_ROWS):
            await _insert(transaction, owner, rows[start : start + MAX_ROWS])

    await db.transaction(store_and_count)


async def remove_progress(db: Database, owner: str, file: str) -> None:
    """Remove the progress of the import of `file`."""
    await db.execute(_REMOVE, {"owner": owner, "name": file})


async def _count_stored(db: Transaction, owner: str, file: str) -> int | None:
    row: ImportProgressRow | None = await db.fetch_one(_FIND, {"owner": owner, "name": file})
    return None if row is None else row.stored


async def _insert(db: Transaction, owner: str, rows: Sequence[NewTask]) -> None:
    values: dict[str, Any] = {"owner": owner}
    for number, row in enumerate(rows):
        values |= {f"{name}_{number}": value for name, value in row._asdict().items()}
    await db.execute(_create_insert(len(rows)), values)
