"""Responses stored for an Idempotency-Key, so that a retry creates nothing and receives the same one.

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from contract.problems import KeyInUse, KeyReused
from persistence.database import Database, Transaction
from persistence.errors import Locked
from persistence.tables import IdempotencyKeyRow, idempotency_keys

LIFETIME = timedelta(hours=24)
MAX_SWEPT_ROWS = 1000  # in a statement, so that no other write waits long

_KEYS = idempotency_keys.c
_MINE = (_KEYS.user_id == bindparam("owner")) & (_KEYS.key == bindparam("id"))
_EXPIRED = _KEYS.created_at < bindparam("expired", type_=_KEYS.created_at.type)
# Waits for another transaction with the same key. Returns no row if that one has stored its response.
_INSERT = insert(idempotency_keys).values(
    user_id=bindparam("owner"),
    key=bindparam("id"),
    fingerprint=bindparam("body"),
    created_at=bindparam("now", type_=_KEYS.created_at.type),
)
_CLAIM = _INSERT.on_conflict_do_update(
    index_elements=[_KEYS.user_id, _KEYS.key],
    set_={
        "fingerprint": _INSERT.excluded.fingerprint,
        "created_at": _INSERT.excluded.created_at,
        "answer": None,  # of an older version, which would be returned first
    },
    where=_EXPIRED,
).returning(_KEYS.key)
_FIND = select(_KEYS.fingerprint, _KEYS.answer, _KEYS.content, _KEYS.headers).where(_MINE)
_STORE = (
    update(idempotency_keys)
    .where(_MINE)
    .values(content=bindparam("content"), headers=bindparam("response_headers"))
)
_SWEEP = delete(idempotency_keys).where(
    tuple_(_KEYS.user_id, _KEYS.key).in_(
        select(_KEYS.user_id, _KEYS.key).where(_EXPIRED).limit(bindparam("at_most", type_=Integer))
    )
)


class StoredResponse(NamedTuple):
    """A response that may be sent again: the bytes of its body, and its headers."""

    content: bytes
    headers: dict[str, str]


def compute_fingerprint(body: Any) -> str:
    """Return a digest that is the same for equal JSON."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


async def run_once(
    db: Database,
    owner: str,
    make: Callable[[Transaction], Awaitable[StoredResponse]],
    *,
    key: str,
    body: Any,
    now: datetime,
) -> StoredResponse:
    """Return the response of `make` for the first request with `key`, and the stored response for a retry.

    The key, the writes of `make` and the response are stored in one transaction: an error stores nothing, and
    a crash releases the key. Raise KeyReused for another body, KeyInUse while the first request runs.
    """
    mine = {"owner": owner, "id": key}
    digest = compute_fingerprint(body)
    claim = {**mine, "body": digest, "now": now, "expired": now - LIFETIME}

    async def claim_and_make(transaction: Transaction) -> StoredResponse:
        try:
            is_new = await transaction.fetch_one(_CLAIM, claim) is not None
        except Locked:
            raise KeyInUse from None
        if not is_new:
            return await _find_response(transaction, mine, digest)
        response = await make(transaction)
        stored = {"content": response.content.decode(), "response_headers": json.dumps(response.headers)}
        await transaction.execute(_STORE, {**mine, **stored})
        return response

    return await db.transaction(claim_and_make)


async def _find_response(db: Transaction, mine: dict[str, Any], digest: str) -> StoredResponse:
    row: IdempotencyKeyRow | None = await db.fetch_one(_FIND, mine)
    if row is None or (row.answer is None and row.content is None):  # removed at this very moment
        raise KeyInUse
    if row.fingerprint != digest:
        raise KeyReused
    # An older version that runs beside this one sets `answer` and leaves the other columns as they are.
    content, headers = json.loads(row.answer or "[null, null]")
    if row.answer is None:
        content, headers = row.content, json.loads(row.headers or "{}")
    return StoredResponse(content.encode(), headers)


async def sweep(db: Database, now: datetime) -> int:
    """Remove some of the expired keys, and return how many."""
    return await db.execute(_SWEEP, {"expired": now - LIFETIME, "at_most": MAX_SWEPT_ROWS})
