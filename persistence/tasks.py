"""Statements on tasks. Each names the owner: a task that is missing and one of another's are one answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, and_, bindparam, case, delete, func, insert, not_, select, update

from contract.problems import InvalidToken, NotFound
from persistence import users
from persistence.database import Database
from persistence.failures import ConstraintViolated
from persistence.statements import Row
from persistence.tables import tasks

_MINE = and_(tasks.c.user_id == bindparam("owner"), tasks.c.id == bindparam("task_id"))
_NOW = bindparam("now", type_=tasks.c.updated_at.type)
# A clock set back, or another server's, does not take a task back in time.
_TOUCHED = case((tasks.c.updated_at > _NOW, tasks.c.updated_at), else_=_NOW)

_INSERT = (
    insert(tasks)
    .values(
        user_id=bindparam("owner"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=bindparam("completed"),
        created_at=_NOW,
        updated_at=_NOW,
    )
    .returning(tasks)
)
_GET = select(tasks).where(_MINE)
# None keeps the title and completed, which cannot be null; a description may be set to null, so it has
# a flag of its own.
_UPDATE = (
    update(tasks)
    .where(_MINE)
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
        updated_at=_TOUCHED,
    )
    .returning(tasks)
)
_COMPLETE = (
    update(tasks)
    .where(_MINE)
    .values(
        completed=func.coalesce(bindparam("new_completed", type_=Boolean), not_(tasks.c.completed)),
        updated_at=_TOUCHED,
    )
    .returning(tasks)
)
_DELETE = delete(tasks).where(_MINE)


async def create(
    db: Database,
    owner: str,
    *,
    title: str,
    description: str | None,
    completed: bool,
    now: datetime,
    provision: bool,
) -> Row:
    """The new task of `owner`.

    An owner without a row in users gets one where `provision` allows it (the users are an outside
    issuer's); otherwise the account is gone, and InvalidToken is raised.
    """
    values = {"owner": owner, "title": title, "description": description, "completed": completed, "now": now}
    try:
        return _only(await db.fetch_one(_INSERT, values))
    except ConstraintViolated as violated:
        if violated.name != "tasks_user_id_fkey":
            raise
        if not provision:
            raise InvalidToken from None
    await users.provision(db, owner, now=now)
    return _only(await db.fetch_one(_INSERT, values))


async def get(db: Database, owner: str, task_id: int) -> Row:
    """One task of `owner`. Raises NotFound."""
    return _only(await db.fetch_one(_GET, {"owner": owner, "task_id": task_id}))


async def update_fields(
    db: Database, owner: str, task_id: int, *, changes: Mapping[str, Any], now: datetime
) -> Row:
    """The task after `changes`, of which title, description and completed count. Raises NotFound."""
    values = {
        "owner": owner,
        "task_id": task_id,
        "new_title": changes.get("title"),
        "sets_description": "description" in changes,
        "new_description": changes.get("description"),
        "new_completed": changes.get("completed"),
        "now": now,
    }
    return _only(await db.fetch_one(_UPDATE, values))


async def complete(db: Database, owner: str, task_id: int, *, completed: bool | None, now: datetime) -> Row:
    """The task with `completed` set, or toggled where it is None, in one statement. Raises NotFound."""
    values = {"owner": owner, "task_id": task_id, "new_completed": completed, "now": now}
    return _only(await db.fetch_one(_COMPLETE, values))


async def remove(db: Database, owner: str, task_id: int) -> None:
    """Delete one task of `owner`. Raises NotFound."""
    if await db.execute(_DELETE, {"owner": owner, "task_id": task_id}) == 0:
        raise NotFound("There is no such task.")


def _only(row: Row | None) -> Row:
    if row is None:
        raise NotFound("There is no such task.")
    return row
