"""Statements on users."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import bindparam, insert, select, text

from contract.problems import EmailTaken, InvalidToken
from persistence.database import Database
from persistence.failures import ConstraintViolated
from persistence.statements import Row
from persistence.tables import users

_INSERT = insert(users).returning(users)
_BY_EMAIL = select(users).where(users.c.email == bindparam("email"))
# One row of nulls, whatever the table holds, for the sake of its columns' names.
_COLUMNS = text("SELECT users.* FROM (SELECT 1) AS one LEFT JOIN users ON 1 = 0")
_PROVISION = insert(users).values(id=bindparam("id"), created_at=bindparam("now"))


async def create(db: Database, user_id: str, *, email: str, password_hash: str, now: datetime) -> Row:
    """The new account. `email` is normalised already. Raises EmailTaken."""
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
    """The account with this normalised email."""
    return await db.fetch_one(_BY_EMAIL, {"email": email})


async def provision(db: Database, owner: str, *, now: datetime) -> None:
    """Make sure that an outside issuer's user has a row for tasks to refer to.

    Raises InvalidToken when the issuer keeps its users in this very table: then the user is gone.
    """
    if not await are_kept_here(db):
        raise InvalidToken
    with suppress(ConstraintViolated):
        await db.execute(_PROVISION, {"id": owner, "now": now})


async def are_kept_here(db: Database) -> bool:
    """Whether the table is this product's; otherwise it is read by foreign keys only, and never written to.

    Better Auth on the same database may have a table of that name (its `modelName: "users"`).
    """
    row = await db.fetch_one(_COLUMNS, {})
    return row is not None and {*row._fields} == {*users.columns.keys()}
