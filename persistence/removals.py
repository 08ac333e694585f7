"""Deletes all data of one owner in batches, so that no other write waits long."""

from sqlalchemy import Integer, bindparam, delete, select

from persistence.database import Database
from persistence.tables import idempotency_keys, import_progress, tasks

BATCH_SIZE = 1000

_KEYS = idempotency_keys.c
_AT_MOST = bindparam("at_most", type_=Integer)
_MY_TASKS = tasks.c.user_id == bindparam("owner")
_MY_KEYS = _KEYS.user_id == bindparam("owner")
_SOME_TASKS = delete(tasks).where(
    _MY_TASKS,
    tasks.c.id.in_(select(tasks.c.id).where(_MY_TASKS).order_by(tasks.c.created_at).limit(_AT_MOST)),
)
_SOME_KEYS = delete(idempotency_keys).where(
    _MY_KEYS, _KEYS.key.in_(select(_KEYS.key).where(_MY_KEYS).limit(_AT_MOST))
)
_PROGRESS = delete(import_progress).where(import_progress.c.user_id == bindparam("owner"))


async def remove_tasks(db: Database, owner: str) -> int:
    """Delete at most AT_ONCE tasks of `owner`, and return how many; 0 if none is left."""
    return await db.execute(_SOME_TASKS, {"owner": owner, "at_most": BATCH_SIZE})


async def remove_keys(db: Database, owner: str) -> int:
    """Delete the stored responses of `owner` in the same way."""
    return await db.execute(_SOME_KEYS, {"owner": owner, "at_most": BATCH_SIZE})


async def remove_import_progress(db: Database, owner: str) -> None:
    """Delete the progress of all imports of `owner`, a row for each interrupted import."""
    await db.execute(_PROGRESS, {"owner": owner})
