"""The accounts of the built-in issuer, and their sessions."""

import uuid
from datetime import datetime
from typing import NamedTuple

from contract.problems import UnknownUser, WrongCredentials, WrongPassword
from persistence import removals, sessions, users
from persistence.database import Database
from persistence.tables import UserRow
from security.passwords import Passwords
from security.sessions import RefreshToken, compute_digest, create_token


class Started(NamedTuple):
    """A new session: its account and its refresh token."""

    account: UserRow
    token: RefreshToken


async def create(
    db: Database, passwords: Passwords, *, email: str, password: str, now: datetime, network: str = ""
) -> UserRow:
    """Create an account from an email and a password that satisfy the contract.

    Hash the password before the search for the email, so that a taken email takes the same time. Raise
    WeakPassword, EmailTaken and Unavailable.
    """
    password_hash = await passwords.hash(password, network=network)
    return await users.create(
        db, str(uuid.uuid4()), email=normalize_email(email), password_hash=password_hash, now=now
    )


def normalize_email(email: str) -> str:
    """Return the email in lower case, as it is stored. The contract allows only ASCII."""
    return email.lower()


async def log_in(
    db: Database, passwords: Passwords, *, email: str, password: str, now: datetime, network: str
) -> Started:
    """Start a session. Every wrong login takes one bcrypt and raises WrongCredentials.

    A login that overlaps a change of the password raises WrongCredentials too.
    """
    row = await users.find_by_email(db, normalize_email(email))
    password_hash = row.password_hash if row else None
    is_right = await passwords.matches(password, password_hash, network=network)
    if not is_right or row is None or password_hash is None:
        raise WrongCredentials
    token = create_token(row.id)
    digest = compute_digest(token.secret)
    if not await sessions.create(
        db, row.id, session_id=token.session, digest=digest, password_hash=password_hash, now=now
    ):
        raise WrongCredentials
    return Started(row, token)


async def get(db: Database, user_id: str) -> UserRow:
    """Return the account. Raise UnknownUser if it has been removed."""
    row = await users.find_account(db, user_id)
    if row is None or row.email is None:
        raise UnknownUser
    return row


async def change_password(
    db: Database,
    passwords: Passwords,
    user_id: str,
    *,
    current: str,
    new: str,
    now: datetime,
    network: str,
) -> Started:
    """Change the password, end every session of the account, and start a new one.

    Raise UnknownUser, WrongPassword, WeakPassword and Unavailable.
    """
    row = await get(db, user_id)
    old_hash = await _check_password(passwords, row, current, network)
    new_hash = await passwords.hash(new, network=network)
    token = create_token(user_id)
    is_changed = await sessions.replace_all(
        db,
        user_id,
        session_id=token.session,
        digest=compute_digest(token.secret),
        old_password_hash=old_hash,
        new_password_hash=new_hash,
        now=now,
    )
    if not is_changed:  # another request was faster
        raise WrongPassword
    return Started(row, token)


async def set_password(db: Database, passwords: Passwords, user_id: str, password: str) -> None:
    """Set the password and end every session, for an operator. Raise UnknownUser and WeakPassword."""
    new_hash = await passwords.hash(password)
    if not await sessions.end_all_with_password(db, user_id, new_hash):
        raise UnknownUser


async def delete(db: Database, passwords: Passwords, user_id: str, *, password: str, network: str) -> None:
    """Delete the data of the account, then the account. A repeated call continues.

    Raise UnknownUser, WrongPassword, and Unavailable if the time does not suffice.
    """
    await _check_password(passwords, await get(db, user_id), password, network)
    await removals.clear(db, user_id, status="all")
    await users.remove(db, user_id)  # with its sessions and the progress of its imports


async def _check_password(passwords: Passwords, row: UserRow, password: str, network: str) -> str:
    """Return the hash of the password. Raise WrongPassword."""
    if not await passwords.matches(password, row.password_hash, network=network) or row.password_hash is None:
        raise WrongPassword
    return row.password_hash
