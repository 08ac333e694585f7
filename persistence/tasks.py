"""Statements on tasks. Each names the owner: a missing task and another user's task are the same error."""

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Executable,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    update,
)

from contract.problems import NotFound, StaleVersion
from persistence.database import Database
from persistence.tables import TaskRow, tasks

_MINE = and_(tasks.c.user_id == bindparam("owner"), tasks.c.id == bindparam("task_id"))
_NOW = bindparam("now", type_=tasks.c.updated_at.type)
# A clock set back, or another server's, does not take a task back in time.
_TOUCHED = {
    "updated_at": case((tasks.c.updated_at > _NOW, tasks.c.updated_at), else_=_NOW),
    "version": tasks.c.version + 1,
}
# The versions that may be changed, as ",3,4,"; null for any. A parameter cannot be a list on both databases.
_VERSIONS = bindparam("versions", type_=Text)
_EXPECTED = and_(
    _MINE,
    or_(_VERSIONS.is_(None), _VERSIONS.like(literal("%,") + cast(tasks.c.version, Text) + literal(",%"))),
)

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
# None keeps the title and completed, which cannot be null; a description may be set to null, so it has
# a flag of its own.
_UPDATE = (
    update(tasks)
    .where(_EXPECTED)
    .values(
        title=func.coalesce(bindparam("new_title", type_=tasks.c.title.type), tasks.c.title),
        description=case(
            (
                bindparam("sets_description", type_=Boolean),
                bindparam("new_description", type_=tasks.c.description.type),
            ),
            else_=tasks.c.description,
        ),
        completed=func.coalesce(bindparam("new_completed", type_=Boolean), tasks.c.completed),
        **_TOUCHED,
    )
    .returning(tasks)
)
_COMPLETE = (
    update(tasks)
    .where(_EXPECTED)
    .values(
        completed=func.coalesce(bindparam("new_completed", type_=Boolean), not_(tasks.c.completed)),
        **_TOUCHED,
    )
    .returning(tasks)
)
_DELETE = delete(tasks).where(_EXPECTED).returning(tasks.c.id)


async def create(
    db: Database, owner: str, *, title: str, description: str | None, completed: bool, now: datetime
) -> TaskRow:
    """Create a task of `owner`. Raise ConstraintViolated if `owner` has no row in users."""
    values = {"owner": owner, "title": title, "description": description, "completed": completed, "now": now}
    row: TaskRow | None = await db.fetch_one(_INSERT, values)
    assert row is not None  # INSERT ... RETURNING gives its row
    return row


async def get(db: Database, owner: str, task_id: int) -> TaskRow:
    """Return one task of `owner`. Raise NotFound."""
    row: TaskRow | None = await db.fetch_one(_GET, {"owner": owner, "task_id": task_id})
    if row is None:
        raise NotFound("There is no such task.")
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
    versions: Set[str] | None,
    changes: Mapping[str, Any],
    now: datetime,
) -> TaskRow:
    """Change title, description and completed as `changes` contains them, and return the task.

    Raise NotFound, and StaleVersion if its version is not one of `versions` (None: any version).
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
    versions: Set[str] | None,
    completed: bool | None,
    now: datetime,
) -> TaskRow:
    """Set `completed`, or toggle it if it is None, in one statement, and return the task.

    Raise NotFound and StaleVersion.
    """
    values = {"new_completed": completed, "now": now}
    return await _change(db, owner, task_id, _COMPLETE, versions, values)


async def remove(db: Database, owner: str, task_id: int, *, versions: Set[str] | None) -> None:
    """Delete one task of `owner`. Raise NotFound and StaleVersion."""
    await _change(db, owner, task_id, _DELETE, versions, {})


async def _change(
    db: Database,
    owner: str,
    task_id: int,
    statement: Executable,
    versions: Set[str] | None,
    values: Mapping[str, Any],
) -> TaskRow:
    """Run `statement`, which compares the version itself, and return its row."""
    expected = None if versions is None else f",{','.join(versions)},"
    parameters = {"owner": owner, "task_id": task_id, "versions": expected, **values}
    row: TaskRow | None = await db.fetch_one(statement, parameters)
    if row is None:
        await get(db, owner, task_id)  # raises NotFound
        raise StaleVersion
    return row
