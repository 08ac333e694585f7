"""Statements on users."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from sqlalchemy import bindparam, delete, func, insert, or_, select, text, update

from contract.problems import EmailTaken, Unavailable, UnknownUser
from persistence.database import Database, Transaction
from persistence.errors import ConstraintViolated, OwnerMissing
from persistence.tables import UserRow, users

T = TypeVar("T")

_INSERT = insert(users).returning(users)
_BY_EMAIL = select(users).where(users.c.email == bindparam("email"))
_BY_ID = select(users).where(users.c.id == bindparam("id"))
_IS_ID = users.c.id == bindparam("name")
_ID = select(users.c.id).where(_IS_ID)
_ID_BY_NAME = (
    select(users.c.id)
    .where(or_(_IS_ID, users.c.email == bindparam("email")))
    .order_by(_IS_ID.desc())
    .limit(1)
)
_CHANGE_PASSWORD = (
    update(users)
    .where(_IS_ID, users.c.password_hash == func.coalesce(bindparam("old_hash"), users.c.password_hash))
    .values(password_hash=bindparam("new_hash"))
)
_REMOVE = delete(users).where(users.c.id == bindparam("owner"))
# One row of nulls, for the names of the columns.
_COLUMNS = text("SELECT users.* FROM (SELECT 1) AS one LEFT JOIN users ON 1 = 0")
_PROVISION = insert(users).values(id=bindparam("id"), created_at=bindparam("now"))


async def create(db: Transaction, user_id: str, *, email: str, password_hash: str, now: datetime) -> UserRow:
    """Create an account. `email` must be normalized. Raise EmailTaken."""
    values = {"id": user_id, "email": email, "password_hash": password_hash, "created_at": now}
    try:
        row: UserRow | None = await db.fetch_one(_INSERT, values)
    except ConstraintViolated as violated:
        if violated.name == "users_email_key":
            raise EmailTaken from None
        raise
    assert row is not None  # INSERT ... RETURNING always returns a row
    return row


async def find_by_email(db: Transaction, email: str) -> UserRow | None:
    """Return the account with this normalized email, or None."""
    return await db.fetch_one(_BY_EMAIL, {"email": email})


async def find_id(db: Database, name: str, *, email: str) -> str | None:
    """Return the id of the user whose id is `name`, otherwise of the account with this normalized email."""
    statement = _ID_BY_NAME if await is_own_table(db) else _ID
    row = await db.fetch_one(statement, {"name": name, "email": email})
    return None if row is None else str(row.id)


async def find_account(db: Database, user_id: str) -> UserRow | None:
    """Return the row of a user. None if the table belongs to another program."""
    return await db.fetch_one(_BY_ID, {"id": user_id}) if await is_own_table(db) else None


async def change_password(db: Transaction, owner: str, *, old_hash: str | None, new_hash: str) -> bool:
    """Set the hash of the password if it is `old_hash`, or whatever it is if that is None.

    Return False if the account does not exist or has another hash.
    """
    return await db.execute(_CHANGE_PASSWORD, {"name": owner, "old_hash": old_hash, "new_hash": new_hash}) > 0


async def remove(db: Database, owner: str) -> None:
    """Delete the row of `owner` and all rows that refer to it. Only for this product's own table."""
    await db.execute(_REMOVE, {"owner": owner})


async def run_for_owner(
    db: Database, owner: str, run: Callable[[], Awaitable[T]], *, may_insert: bool, now: datetime
) -> T:
    """Run `run`. If the row of `owner` is missing, insert it and run `run` again.

    A row is inserted only for users of an outside issuer (`may_insert`), which makes only the first write
    slower. Raise UnknownUser if no row may be inserted, and Unavailable if the row is missing again: it was
    removed at this moment, or a machine of Citus has not committed it yet.
    """
    try:
        return await run()
    except OwnerMissing:
        # If the issuer keeps its users in this very table, the user has been removed.
        if not may_insert or not await is_own_table(db):
            raise UnknownUser from None
    with suppress(ConstraintViolated):
        await db.execute(_PROVISION, {"id": owner, "now": now})
    try:
        return await run()
    except OwnerMissing:
        raise Unavailable("The user is being created or removed. Try again in a moment.") from None


async def is_own_table(db: Database) -> bool:
    """Return whether the table users is this product's. A table of another program is never written.

    Better Auth on the same database may have a table of that name (its `modelName: "users"`).
    """
    row = await db.fetch_one(_COLUMNS, {})
    return row is not None and {*row._fields} == {*users.columns.keys()}
