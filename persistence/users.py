"""Statements on users."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from sqlalchemy import bindparam, delete, insert, select, text

from contract.problems import EmailTaken, InvalidToken
from persistence.database import Database
from persistence.failures import ConstraintViolated
from persistence.statements import Row
from persistence.tables import users

T = TypeVar("T")

_INSERT = insert(users).returning(users)
_BY_EMAIL = select(users).where(users.c.email == bindparam("email"))
_IS_ANYONE = select(users.c.id).where(users.c.id == bindparam("owner"))
_SHOWN = select(users.c.id, users.c.email, users.c.created_at)
_BY_ID = _SHOWN.where(users.c.id == bindparam("owner"))
_ID_OF_EMAIL = select(users.c.id).where(users.c.email == bindparam("email"))
_REMOVE = delete(users).where(users.c.id == bindparam("owner"))
# One row of nulls, whatever the table holds, for the sake of its columns' names.
_COLUMNS = text("SELECT users.* FROM (SELECT 1) AS one LEFT JOIN users ON 1 = 0")
_PROVISION = insert(users).values(id=bindparam("id"), created_at=bindparam("now"))


async def create(db: Database, user_id: str, *, email: str, password_hash: str, now: datetime) -> Row:
    """Create an account. `email` must be normalised. Raise EmailTaken."""
    values = {"id": user_id, "email": email, "password_hash": password_hash, "created_at": now}
    try:
        row = await db.fetch_one(_INSERT, values)
    except ConstraintViolated as violated:
        if violated.name == "users_email_key":
            raise EmailTaken from None
        raise
    assert row is not None  # INSERT ... RETURNING gives its row
    return row


async def find_by_email(db: Database, email: str) -> Row | None:
    """Return the account with this normalised email, or None."""
    return await db.fetch_one(_BY_EMAIL, {"email": email})


async def find(db: Database, name: str, *, email: str) -> Row | None:
    """Return the user whose id is `name` or whose normalised email is `email`: id, email, created_at.

    If the table is another program's, search by id and return only the id.
    """
    if not await are_kept_here(db):
        return await db.fetch_one(_IS_ANYONE, {"owner": name})
    if (row := await db.fetch_one(_BY_ID, {"owner": name})) is not None:
        return row
    found = await db.fetch_one(_ID_OF_EMAIL, {"email": email})
    return None if found is None else await db.fetch_one(_BY_ID, {"owner": found.id})


async def remove(db: Database, owner: str) -> None:
    """Delete the row of `owner` with all that refers to it. Only for this product's own table."""
    await db.execute(_REMOVE, {"owner": owner})


async def provisioned(
    db: Database, owner: str, make: Callable[[], Awaitable[T]], *, is_allowed: bool, now: datetime
) -> T:
    """Run `make`. If the user's row is missing, insert it and run `make` again.

    A row is inserted only for users of an outside issuer (`is_allowed`), which makes only the first write
    slower. Raise InvalidToken if the account has been removed.
    """
    try:
        return await make()
    except ConstraintViolated as violated:
        if not violated.name.endswith("_user_id_fkey"):
            raise
    # Where the issuer keeps its users in this very table, the user is gone too.
    if not is_allowed or not await are_kept_here(db):
        raise InvalidToken
    with suppress(ConstraintViolated):
        await db.execute(_PROVISION, {"id": owner, "now": now})
    return await make()


async def are_kept_here(db: Database) -> bool:
    """Return whether the table is this product's. Another program's is only referred to, never written.

    Better Auth on the same database may have a table of that name (its `modelName: "users"`).
    """
    row = await db.fetch_one(_COLUMNS, {})
    return row is not None and {*row._fields} == {*users.columns.keys()}
