"""The accounts of the built-in issuer."""

import uuid
from datetime import datetime

from persistence import users
from persistence.database import Database
from persistence.tables import UserRow
from security.passwords import Passwords


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
