"""Pages of tasks, by keyset: one statement for each order, filter and kind of page."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Boolean, Integer, Select, bindparam, select, tuple_

from persistence import cursors
from persistence.cursors import ListIdentity, Position
from persistence.database import Database
from persistence.tables import TaskRow, tasks

_COLUMNS = {"created": tasks.c.created_at, "updated": tasks.c.updated_at, "title": tasks.c.title}
_ORDERS = ("asc", "desc")
_BY_COMPLETED = {"all": None, "pending": False, "completed": True}


class Page(NamedTuple):
    """At most `limit` tasks, and the cursor of the page after it, None on the last."""

    rows: Sequence[TaskRow]
    next_cursor: str | None


def _create_statement(sort: str, order: str, *, filtered: bool, continued: bool) -> Select[Any]:
    """Return the statement for a page, read from the index (user_id[, completed], sort column, id)."""
    column = _COLUMNS[sort]
    directions = [c.asc() if order == "asc" else c.desc() for c in (column, tasks.c.id)]
    statement = select(tasks).where(tasks.c.user_id == bindparam("owner")).order_by(*directions)
    if filtered:
        statement = statement.where(tasks.c.completed == bindparam("completed", type_=Boolean))
    if continued:
        # A row comparison is a range of the index. With OR it would be a scan.
        here = tuple_(column, tasks.c.id)
        after = tuple_(bindparam("value", type_=column.type), bindparam("task_id", type_=BigInteger))
        statement = statement.where(here > after if order == "asc" else here < after)
    return statement.limit(bindparam("at_most", type_=Integer))


_STATEMENTS = {
    (sort, order, filtered, continued): _create_statement(sort, order, filtered=filtered, continued=continued)
    for sort, order, filtered, continued in product(_COLUMNS, _ORDERS, (False, True), (False, True))
}


async def get(
    db: Database, owner: str, *, status: str, sort: str, order: str | None, limit: int, cursor: str | None
) -> Page:
    """Return a page of `owner`'s tasks. By default times are newest first, and titles A to Z.

    Raise InvalidCursor.
    """
    order = order or ("asc" if sort == "title" else "desc")
    identity = ListIdentity(owner, status, sort, order)
    completed = _BY_COMPLETED[status]
    # One row more than the limit shows that there is a next page, without a count.
    parameters: dict[str, Any] = {"owner": owner, "completed": completed, "at_most": limit + 1}
    if cursor is not None:
        parameters |= cursors.decode(cursor, identity)._asdict()
    statement = _STATEMENTS[sort, order, completed is not None, cursor is not None]
    rows = await db.fetch_all(statement, parameters)
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    position = Position(getattr(last, _COLUMNS[sort].name), last.id)
    return Page(rows[:limit], cursors.encode(position, identity))
