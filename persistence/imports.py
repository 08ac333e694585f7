"""Imports many tasks of one owner, each once, also when an interrupted import is repeated.

The number of stored tasks of a file is kept in the table of Idempotency-Keys. It is updated in the
transaction that stores the tasks, and removed after the last one, or when keys expire.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from contract.problems import KeyInUse
from persistence.database import Database, Transaction
from persistence.tables import idempotency_keys, tasks

BATCH_SIZE = 1000  # tasks in a transaction, which blocks other writes for about 40 ms
MAX_ROWS = 100  # in one INSERT

_KEYS = idempotency_keys.c
_MINE = (_KEYS.user_id == bindparam("owner")) & (_KEYS.key == bindparam("id"))
_STORED = select(_KEYS.answer).where(_MINE)
_BEGIN = (
    upsert(idempotency_keys)
    .values(
        user_id=bindparam("owner"),
        key=bindparam("id"),
        fingerprint=bindparam("id"),
        answer="0",
        created_at=bindparam("now", type_=_KEYS.created_at.type),
    )
    .on_conflict_do_nothing()
)
_COUNT_UP = (
    update(idempotency_keys)
    .where(_MINE, _KEYS.answer == bindparam("before"))
    .values(answer=bindparam("after"), created_at=bindparam("now", type_=_KEYS.created_at.type))
)
_REMOVE = delete(idempotency_keys).where(_MINE)


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
    if await db.execute(_BEGIN, {"owner": owner, "id": _create_key(file), "now": now}):
        return None
    return await _count_stored(db, owner, file) or 0


async def store(
    db: Database, owner: str, rows: Sequence[NewTask], *, file: str, before: int, now: datetime
) -> None:
    """Store these tasks of `owner`, all or none, after the first `before` of `file`.

    Raise KeyInUse when another number is stored: another import of the file runs, or has ended.
    """
    after = before + len(rows)
    count = {"owner": owner, "id": _create_key(file), "before": str(before), "after": str(after), "now": now}

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
    await db.execute(_REMOVE, {"owner": owner, "id": _create_key(file)})


async def _count_stored(db: Transaction, owner: str, file: str) -> int | None:
    row = await db.fetch_one(_STORED, {"owner": owner, "id": _create_key(file)})
    return None if row is None else int(row.answer)


async def _insert(db: Transaction, owner: str, rows: Sequence[NewTask]) -> None:
    values: dict[str, Any] = {"owner": owner}
    for number, row in enumerate(rows):
        values |= {f"{name}_{number}": value for name, value in row._asdict().items()}
    await db.execute(_create_insert(len(rows)), values)


def _create_key(file: str) -> str:
    """Return a key that no client can send: the contract's Idempotency-Key contains no space."""
    return f"import {file}"
