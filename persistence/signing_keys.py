"""Statements on the keys of the built-in issuer, which all workers and machines share."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from persistence.database import Database, Transaction
from persistence.errors import ConstraintViolated
from persistence.tables import SigningKeyRow, signing_keys

_ALL = select(signing_keys).order_by(signing_keys.c.number.desc())
_INSERT = insert(signing_keys)
_REMOVE_BEFORE = delete(signing_keys).where(signing_keys.c.number < bindparam("first"))


async def list_newest_first(db: Transaction) -> Sequence[SigningKeyRow]:
    """Return every key, newest first."""
    return await db.fetch_all(_ALL, {})


async def add(db: Database, number: int, *, kid: str, private_jwk: str, now: datetime) -> None:
    """Store key `number`, unless another server has stored it."""
    values = {"number": number, "kid": kid, "private_jwk": private_jwk, "created_at": now}
    with suppress(ConstraintViolated):
        await db.execute(_INSERT, values)


async def rotate(
    db: Database,
    *,
    kid: str,
    private_jwk: str,
    now: datetime,
    select_kept: Callable[[Sequence[SigningKeyRow]], Sequence[SigningKeyRow]],
) -> None:
    """Store the next key. Of the keys, newest first, remove those that `select_kept` leaves out at the end.

    Raise ConstraintViolated if another rotation runs at the same moment.
    """

    async def insert_and_remove(transaction: Transaction) -> None:
        rows = await list_newest_first(transaction)
        if not (rows and rows[0].kid == kid):  # otherwise the connection was lost during COMMIT
            number = rows[0].number + 1 if rows else 1
            values = {"number": number, "kid": kid, "private_jwk": private_jwk, "created_at": now}
            await transaction.execute(_INSERT, values)
            rows = await list_newest_first(transaction)
        await transaction.execute(_REMOVE_BEFORE, {"first": select_kept(rows)[-1].number})

    await db.transaction(insert_and_remove)
