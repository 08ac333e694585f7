"""The built-in accounts: how one is made, and under which spelling of its email."""

import uuid
from datetime import datetime

from persistence import users
from persistence.database import Database
from persistence.statements import Row
from security.passwords import Passwords


async def create(db: Database, passwords: Passwords, *, email: str, password: str, now: datetime) -> Row:
    """The new account, its email and password being as the contract has them.

    The hash comes before the look for the email, so that both take equal time. Raises WeakPassword,
    EmailTaken and Unavailable.
    """
    password_hash = await passwords.hash(password)
    return await users.create(
        db, str(uuid.uuid4()), email=normalised(email), password_hash=password_hash, now=now
    )


def normalised(email: str) -> str:
    """The one spelling under which an email is kept and looked for; the contract lets ASCII only in."""
    return email.lower()
