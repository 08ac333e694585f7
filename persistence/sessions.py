"""Statements on the sessions of the built-in accounts. They store digests of secrets, never a secret."""

from datetime import datetime, timedelta

from sqlalchemy import Integer, and_, bindparam, delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from persistence import users
from persistence.database import Database, Transaction
from persistence.tables import SessionRow, sessions
from persistence.tables import users as users_table

IDLE_LIFETIME = timedelta(days=30)  # without a refresh
MAX_LIFETIME = timedelta(days=365)
MAX_SESSIONS = 100  # of an account; the oldest is removed
MAX_SWEPT_ROWS = 1000  # in a statement, so that no other write waits long

_S = sessions.c
_MINE = and_(_S.user_id == bindparam("owner"), _S.id == bindparam("id"))
_NOW = bindparam("now", type_=_S.rotated_at.type)
# Locks the row of the account until the end of the transaction. A concurrent change of the password waits,
# and then removes this session.
_LOCK_ACCOUNT = (
    select(users_table.c.id)
    .where(users_table.c.id == bindparam("owner"), users_table.c.password_hash == bindparam("password_hash"))
    .with_for_update(read=True)
)
_INSERT = (
    insert(sessions)
    .values(
        user_id=bindparam("owner"),
        id=bindparam("id"),
        secret_digest=bindparam("digest"),
        created_at=_NOW,
        rotated_at=_NOW,
    )
    .on_conflict_do_nothing()  # the transaction is repeated if its connection is lost during COMMIT
)
_NEWEST = (
    select(_S.id)
    .where(_S.user_id == bindparam("owner"))
    .order_by(_S.created_at.desc(), _S.id)
    .limit(bindparam("kept", type_=Integer))
)
_REMOVE_OLDEST = delete(sessions).where(_S.user_id == bindparam("owner"), _S.id.not_in(_NEWEST))
_FIND = select(sessions).where(_MINE)
_ROTATE = (
    update(sessions)
    .where(_MINE, _S.secret_digest == bindparam("old_digest"))
    .values(
        previous_digest=bindparam("old_digest"),
        secret_digest=bindparam("new_digest"),
        nonce=bindparam("new_nonce"),
        rotated_at=_NOW,
    )
)
_REMOVE = delete(sessions).where(_MINE)
_REMOVE_ALL = delete(sessions).where(_S.user_id == bindparam("owner"))
_EXPIRED = or_(
    _S.rotated_at < bindparam("idle_since", type_=_S.rotated_at.type),
    _S.created_at < bindparam("created_before", type_=_S.created_at.type),
)
_SWEEP = delete(sessions).where(
    tuple_(_S.user_id, _S.id).in_(
        select(_S.user_id, _S.id).where(_EXPIRED).limit(bindparam("at_most", type_=Integer))
    )
)


def find_expiry(row: SessionRow) -> datetime:
    """Return when the session ends unless it is refreshed."""
    return min(row.rotated_at + IDLE_LIFETIME, row.created_at + MAX_LIFETIME)


async def create(
    db: Database, owner: str, *, session_id: str, digest: str, password_hash: str, now: datetime
) -> bool:
    """Store a session of `owner`. Return False if the password is no longer that of `password_hash`."""

    async def insert_if_unchanged(transaction: Transaction) -> bool:
        account = {"owner": owner, "password_hash": password_hash}
        if await transaction.fetch_one(_LOCK_ACCOUNT, account) is None:
            return False
        await _insert(transaction, owner, session_id, digest, now)
        return True

    return await db.transaction(insert_if_unchanged)


async def replace_all(
    db: Database,
    owner: str,
    *,
    session_id: str,
    digest: str,
    old_password_hash: str,
    new_password_hash: str,
    now: datetime,
) -> bool:
    """Change the password, end every session of `owner` and store a new one.

    Return False if the password is no longer that of `old_password_hash`.
    """

    async def change(transaction: Transaction) -> bool:
        is_changed = await users.change_password(
            transaction, owner, old_hash=old_password_hash, new_hash=new_password_hash
        )
        if not is_changed:  # or it is, and the connection was lost during COMMIT
            return await transaction.fetch_one(_FIND, {"owner": owner, "id": session_id}) is not None
        await transaction.execute(_REMOVE_ALL, {"owner": owner})
        await _insert(transaction, owner, session_id, digest, now)
        return True

    return await db.transaction(change)


async def end_all_with_password(db: Database, owner: str, password_hash: str) -> bool:
    """Set the password and end every session of `owner`. Return False if there is no such account."""

    async def change(transaction: Transaction) -> bool:
        is_changed = await users.change_password(transaction, owner, old_hash=None, new_hash=password_hash)
        await transaction.execute(_REMOVE_ALL, {"owner": owner})
        return is_changed

    return await db.transaction(change)


async def _insert(db: Transaction, owner: str, session_id: str, digest: str, now: datetime) -> None:
    await db.execute(_INSERT, {"owner": owner, "id": session_id, "digest": digest, "now": now})
    await db.execute(_REMOVE_OLDEST, {"owner": owner, "kept": MAX_SESSIONS})


async def find(db: Database, owner: str, session_id: str) -> SessionRow | None:
    """Return the session, or None."""
    return await db.fetch_one(_FIND, {"owner": owner, "id": session_id})


async def rotate(
    db: Database, owner: str, session_id: str, *, old_digest: str, new_digest: str, nonce: str, now: datetime
) -> bool:
    """Replace the secret. Return False if another request has replaced it or ended the session."""
    values = {"old_digest": old_digest, "new_digest": new_digest, "new_nonce": nonce, "now": now}
    return await db.execute(_ROTATE, {"owner": owner, "id": session_id, **values}) > 0


async def remove(db: Database, owner: str, session_id: str) -> None:
    """End the session, if there is one."""
    await db.execute(_REMOVE, {"owner": owner, "id": session_id})


async def sweep(db: Database, now: datetime) -> int:
    """Remove some of the expired sessions, and return how many."""
    times = {"idle_since": now - IDLE_LIFETIME, "created_before": now - MAX_LIFETIME}
    return await db.execute(_SWEEP, {**times, "at_most": MAX_SWEPT_ROWS})
