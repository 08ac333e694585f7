"""Statements on tasks. Each names the owner: a missing task and another user's task are the same error."""

from collections.abc import Callable, Mapping, Set
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Executable,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from contract import entity_tags
from contract.problems import StaleVersion, TaskNotFound
from persistence import idempotency, representations, users
from persistence.database import Database, Transaction
from persistence.idempotency import StoredResponse
from persistence.quota import Quota
from persistence.tables import TaskRow, tasks

_MINE = and_(tasks.c.user_id == bindparam("owner"), tasks.c.id == bindparam("task_id"))
_NOW = bindparam("now", type_=tasks.c.updated_at.type)


def _create_changes(*changed: tuple[Column[Any], ColumnElement[Any]]) -> dict[str, Any]:
    """Return the values of an UPDATE. The version and updated_at change only with another value.

    updated_at never decreases, even if a clock is set back or another server's clock is behind.
    """
    is_changed = or_(*(column.is_distinct_from(value) for column, value in changed))
    return {
        **{column.name: value for column, value in changed},
        "version": tasks.c.version + case((is_changed, 1), else_=0),
        "updated_at": case((and_(is_changed, tasks.c.updated_at < _NOW), _NOW), else_=tasks.c.updated_at),
    }


# The version that may be changed; null for any.
_VERSION = bindparam("version", type_=tasks.c.version.type)
_EXPECTED = and_(_MINE, tasks.c.version == func.coalesce(_VERSION, tasks.c.version))

_INSERT = (
    insert(tasks)
    .values(
        user_id=bindparam("owner"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=bindparam("completed"),
        created_at=_NOW,
        updated_at=_NOW,
        version=1,
    )
    .returning(tasks)
)
_COUNT = select(func.count().label("count")).where(tasks.c.user_id == bindparam("owner"))
_GET = select(tasks).where(_MINE)
_NEW_TITLE = bindparam("new_title", type_=tasks.c.title.type)
_NEW_DESCRIPTION = bindparam("new_description", type_=tasks.c.description.type)
_NEW_COMPLETED = bindparam("new_completed", type_=Boolean)
_SETS_DESCRIPTION = bindparam("sets_description", type_=Boolean)
# Null keeps title and completed, which cannot be null. A description can be set to null, so a flag says
# whether it is set.
_UPDATE = (
    update(tasks)
    .where(_EXPECTED)
    .values(
        _create_changes(
            (tasks.c.title, func.coalesce(_NEW_TITLE, tasks.c.title)),
            (tasks.c.description, case((_SETS_DESCRIPTION, _NEW_DESCRIPTION), else_=tasks.c.description)),
            (tasks.c.completed, func.coalesce(_NEW_COMPLETED, tasks.c.completed)),
        )
    )
    .returning(tasks)
)
_COMPLETE = (
    update(tasks)
    .where(_EXPECTED)
    .values(_create_changes((tasks.c.completed, func.coalesce(_NEW_COMPLETED, not_(tasks.c.completed)))))
    .returning(tasks)
)
_DELETE = delete(tasks).where(_EXPECTED).returning(tasks.c.id)


async def create(
    db: Database,
    owner: str,
    fields: Mapping[str, Any],
    *,
    key: str | None,
    render: Callable[[TaskRow], StoredResponse],
    quota: Quota,
    may_insert_owner: bool,
    now: datetime,
) -> StoredResponse:
    """Create a task from `fields` (title, description, completed) and return the response to it.

    With an Idempotency-Key, a retry creates nothing and gets the response to the first request. Raise
    KeyInUse, KeyReused, TooManyTasks, and UnknownUser if `owner` has no row in users and may not get one.
    """

    async def make(db: Transaction) -> StoredResponse:
        await quota.check(db, owner)
        return render(await _insert(db, owner, fields, now))

    async def run() -> StoredResponse:
        if key is None:
            return await make(db)
        return await idempotency.run_once(db, owner, make, key=key, body=fields, now=now)

    return await users.run_for_owner(db, owner, run, may_insert=may_insert_owner, now=now)


async def _insert(db: Transaction, owner: str, fields: Mapping[str, Any], now: datetime) -> TaskRow:
    values = {
        "owner": owner,
        "title": fields["title"],
        "description": fields.get("description"),
        "completed": fields.get("completed", False),
        "now": now,
    }
    row: TaskRow | None = await db.fetch_one(_INSERT, values)
    assert row is not None  # INSERT ... RETURNING always returns a row
    return row


async def get(db: Database, owner: str, task_id: int) -> TaskRow:
    """Return one task of `owner`. Raise TaskNotFound."""
    row: TaskRow | None = await db.fetch_one(_GET, {"owner": owner, "task_id": task_id})
    if row is None:
        raise TaskNotFound
    return row


async def count(db: Database, owner: str) -> int:
    """Return how many tasks `owner` has."""
    row = await db.fetch_one(_COUNT, {"owner": owner})
    return 0 if row is None else int(row.count)


async def update_fields(
    db: Database,
    owner: str,
    task_id: int,
    *,
    versions: Set[int] | None,
    changes: Mapping[str, Any],
    now: datetime,
) -> TaskRow:
    """Change title, description and completed as `changes` contains them, and return the task.

    Raise TaskNotFound, and StaleVersion if its version is not one of `versions` (None: any version).
    """
    values = {
        "new_title": changes.get("title"),
        "sets_description": "description" in changes,
        "new_description": changes.get("description"),
        "new_completed": changes.get("completed"),
        "now": now,
    }
    return await _change(db, owner, task_id, _UPDATE, versions, values)


async def complete(
    db: Database,
    owner: str,
    task_id: int,
    *,
    versions: Set[int] | None,
    completed: bool | None,
    now: datetime,
) -> TaskRow:
    """Set `completed`, or toggle it if it is None, in one statement, and return the task.

    Raise TaskNotFound and StaleVersion.
    """
    values = {"new_completed": completed, "now": now}
    return await _change(db, owner, task_id, _COMPLETE, versions, values)


async def remove(db: Database, owner: str, task_id: int, *, versions: Set[int] | None) -> None:
    """Delete one task of `owner`. Raise TaskNotFound and StaleVersion."""
    await _change(db, owner, task_id, _DELETE, versions, {})


async def _change(
    db: Database,
    owner: str,
    task_id: int,
    statement: Executable,
    versions: Set[int] | None,
    values: Mapping[str, Any],
) -> TaskRow:
    """Run `statement`, which compares the version itself, and return its row."""
    version = await _choose_version(db, owner, task_id, versions)
    parameters = {"owner": owner, "task_id": task_id, "version": version, **values}
    row: TaskRow | None = await db.fetch_one(statement, parameters)
    if row is None:
        raise _create_stale_version(await get(db, owner, task_id))
    return row


async def _choose_version(db: Database, owner: str, task_id: int, versions: Set[int] | None) -> int | None:
    """Return the version that the task must have to be changed, None for any.

    One version needs no read. Of several, the current one is chosen. Raise TaskNotFound and StaleVersion.
    """
    if versions is None or len(versions) == 1:
        return next(iter(versions)) if versions else None
    row = await get(db, owner, task_id)
    if row.version not in versions:
        raise _create_stale_version(row)
    return row.version


def _create_stale_version(row: TaskRow) -> StaleVersion:
    return StaleVersion(representations.to_task(row), entity_tags.format_version(row.version))
