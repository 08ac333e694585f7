"""Statements on the keys of the built-in issuer, which all workers and machines share."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import insert, select

from persistence.database import Database
from persistence.errors import ConstraintViolated
from persistence.tables import SigningKeyRow, signing_keys

_ALL = select(signing_keys).order_by(signing_keys.c.number.desc())
_INSERT = insert(signing_keys)


async def list_newest_first(db: Database) -> Sequence[SigningKeyRow]:
    """Return every key, newest first."""
    return await db.fetch_all(_ALL, {})


async def add(db: Database, number: int, *, kid: str, private_jwk: str, now: datetime) -> None:
    """Store key `number`, unless another server has stored it."""
    values = {"number": number, "kid": kid, "private_jwk": private_jwk, "created_at": now}
    with suppress(ConstraintViolated):
        await db.execute(_INSERT, values)
