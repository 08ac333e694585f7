"""Refresh tokens of the built-in accounts, with repeatable rotation (RFC 9700 4.14.2).

A refresh token is `user.session.secret`. The next secret is an HMAC of the current one with a stored nonce.
Two tabs, or a retry after a lost response, receive the same next token. A secret that was replaced earlier
has been copied, and ends the session.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from contract.problems import SessionEnded
from persistence import sessions
from persistence.database import Database
from persistence.tables import SessionRow

GRACE = timedelta(seconds=30)  # between requests of one client with the same token


class RefreshToken(NamedTuple):
    """The parts of a refresh token."""

    user: str
    session: str
    secret: str

    def __str__(self) -> str:
        return ".".join(self)


class Refreshed(NamedTuple):
    """The refresh token to use next, and how many seconds it is valid."""

    token: RefreshToken
    expires_in_s: int


def create_token(user: str) -> RefreshToken:
    """Return a refresh token for a new session: 128 random bits name it, 256 are its secret."""
    return RefreshToken(user, secrets.token_urlsafe(16), secrets.token_urlsafe(32))


def compute_digest(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def refresh(db: Database, text: str, now: datetime) -> Refreshed:
    """Return the next refresh token. Raise SessionEnded for every cause."""
    token = _parse(text)
    for _ in range(3):  # at most two other requests rotate or end the session between the read and the update
        row = await sessions.find(db, token.user, token.session)
        if row is None or sessions.find_expiry(row) <= now:
            raise SessionEnded
        if _is_rotation_due(token, row, now):
            secret = await _rotate(db, token, now)
            row = row._replace(rotated_at=now)
        else:
            secret = await _find_current_secret(db, token, row, now)
        if secret is not None:
            seconds = int((sessions.find_expiry(row) - now).total_seconds())
            return Refreshed(token._replace(secret=secret), seconds)
    raise SessionEnded


async def end(db: Database, text: str) -> None:
    """End the session of a refresh token, if there is one (RFC 7009 2.2)."""
    try:
        token = _parse(text)
    except SessionEnded:
        return
    await sessions.remove(db, token.user, token.session)


def _is_rotation_due(token: RefreshToken, row: SessionRow, now: datetime) -> bool:
    return _is_secret_of(row.secret_digest, token) and now - row.rotated_at >= GRACE


async def _find_current_secret(db: Database, token: RefreshToken, row: SessionRow, now: datetime) -> str:
    """Return the secret that a client with the current or the previous one uses next.

    Raise SessionEnded for any other secret, after the session has been ended.
    """
    if _is_secret_of(row.secret_digest, token):
        return token.secret
    if _is_secret_of(row.previous_digest, token) and row.nonce and now - row.rotated_at < GRACE:
        return _derive(token.secret, row.nonce)
    await sessions.remove(db, token.user, token.session)
    raise SessionEnded


def _is_secret_of(digest: str | None, token: RefreshToken) -> bool:
    return digest is not None and hmac.compare_digest(digest, compute_digest(token.secret))


async def _rotate(db: Database, token: RefreshToken, now: datetime) -> str | None:
    """Store the next secret and return it, None if another request was faster."""
    nonce = secrets.token_hex(16)
    secret = _derive(token.secret, nonce)
    is_rotated = await sessions.rotate(
        db,
        token.user,
        token.session,
        old_digest=compute_digest(token.secret),
        new_digest=compute_digest(secret),
        nonce=nonce,
        now=now,
    )
    return secret if is_rotated else None


def _derive(secret: str, nonce: str) -> str:
    return hmac.new(secret.encode(), nonce.encode(), hashlib.sha256).hexdigest()


def _parse(text: str) -> RefreshToken:
    parts = text.rsplit(".", 2)
    if len(parts) != len(RefreshToken._fields):
        raise SessionEnded
    return RefreshToken(*parts)
