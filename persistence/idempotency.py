"""Responses stored for an Idempotency-Key, so that a retry creates nothing and receives the same one.

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from contract.problems import KeyInUse, KeyReused, Unavailable
from persistence.database import Database
from persistence.failures import Locked
from persistence.tables import IdempotencyKeyRow, idempotency_keys

log = logging.getLogger("todo.idempotency")

KEPT = timedelta(hours=24)
SWEEP_EVERY_S = 3600
SWEPT_AT_ONCE = 1000  # so that no other write waits long

_KEYS = idempotency_keys.c
_MINE = (_KEYS.user_id == bindparam("owner")) & (_KEYS.key == bindparam("id"))
_EXPIRED = _KEYS.created_at < bindparam("expired", type_=_KEYS.created_at.type)
# Waits for another transaction with the same key; gives no row when that has kept its answer.
_INSERT = insert(idempotency_keys).values(
    user_id=bindparam("owner"),
    key=bindparam("id"),
    fingerprint=bindparam("body"),
    created_at=bindparam("now", type_=_KEYS.created_at.type),
)
_CLAIM = _INSERT.on_conflict_do_update(
    index_elements=[_KEYS.user_id, _KEYS.key],
    set_={"fingerprint": _INSERT.excluded.fingerprint, "created_at": _INSERT.excluded.created_at},
    where=_EXPIRED,
).returning(_KEYS.key)
_FIND = select(_KEYS.fingerprint, _KEYS.answer).where(_MINE)
_KEEP = update(idempotency_keys).where(_MINE).values(answer=bindparam("kept"))
_SWEEP = delete(idempotency_keys).where(
    tuple_(_KEYS.user_id, _KEYS.key).in_(
        select(_KEYS.user_id, _KEYS.key).where(_EXPIRED).limit(bindparam("at_most", type_=Integer))
    )
)


class Answer(NamedTuple):
    """A response that was sent: the bytes of its body, and its headers."""

    content: bytes
    headers: dict[str, str]


def fingerprint(body: Any) -> str:
    """Return a digest that is the same for equal JSON."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


async def once(
    db: Database,
    owner: str,
    make: Callable[[Database], Awaitable[Answer]],
    *,
    key: str,
    body: Any,
    now: datetime,
) -> Answer:
    """Return the response of `make` for the first request with `key`, and the stored one for retries.

    The claim, the writes of `make` and the response are one transaction: a failure stores nothing, and a
    crash frees the key. Raise KeyReused for another body, KeyInUse while the first request is in progress.
    """
    mine = {"owner": owner, "id": key}
    asked = fingerprint(body)
    claim = {**mine, "body": asked, "now": now, "expired": now - KEPT}

    async def claimed(transaction: Database) -> Answer:
        try:
            is_new = await transaction.fetch_one(_CLAIM, claim) is not None
        except Locked:
            raise KeyInUse from None
        if not is_new:
            return await _kept(transaction, mine, asked)
        answer = await make(transaction)
        await transaction.execute(_KEEP, {**mine, "kept": _packed(answer)})
        return answer

    return await db.transaction(claimed)


async def _kept(db: Database, mine: dict[str, Any], asked: str) -> Answer:
    row: IdempotencyKeyRow | None = await db.fetch_one(_FIND, mine)
    if row is None or row.answer is None:  # swept, or given up, this very moment
        raise KeyInUse
    if row.fingerprint != asked:
        raise KeyReused
    content, headers = json.loads(row.answer)
    return Answer(content.encode(), headers)


def _packed(answer: Answer) -> str:
    return json.dumps([answer.content.decode(), answer.headers])


async def keep_sweeping(db: Database, clock: Callable[[], datetime]) -> None:
    """Remove expired keys, now and every hour."""
    while True:
        try:
            while await db.execute(_SWEEP, {"expired": clock() - KEPT, "at_most": SWEPT_AT_ONCE}):
                pass
        except Unavailable as unavailable:
            log.warning("old idempotency keys are not removed: %s", unavailable.__cause__)
        except Exception:
            log.exception("old idempotency keys are not removed")
        await asyncio.sleep(SWEEP_EVERY_S)
