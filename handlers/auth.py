"""The built-in accounts: sign up, log in, and the keys that verify the tokens."""

import hashlib
from typing import Any

from contract.operation import Response
from contract.problems import OutsideIssuer
from handlers import representations
from handlers.context import database, issuer, limit, now, services
from persistence import users
from security import accounts
from security.issuer import LIFETIME, Issuer


async def signup(body: dict[str, Any]) -> Response:
    """Create an account."""
    await _issuer_with_accounts()
    row = await accounts.create(
        database(), services().passwords, email=body["email"], password=body["password"], now=now()
    )
    return representations.account(row), 201, {}


async def login(body: dict[str, Any]) -> Response:
    """Exchange credentials for a token. Every failure has the same response and takes one bcrypt.

    The gate counts logins by address, and this counts them by account.
    """
    email = accounts.normalised(body["email"])
    await limit("login", "account", hashlib.sha256(email.encode()).hexdigest())
    signer = await _issuer_with_accounts()
    row = await users.find_by_email(database(), email)
    await services().passwords.check(body["password"], row.password_hash if row else None)
    assert row is not None  # check() lets no unknown account through
    session = {
        "access_token": await signer.token(row.id),
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "user": representations.account(row),
    }
    return session, 200, {"Cache-Control": "no-store"}


async def jwks() -> Response:
    """Return the public keys, newest first."""
    return {"keys": await issuer().public_jwks()}, 200, {}


async def _issuer_with_accounts() -> Issuer:
    """Return the built-in issuer. Raise OutsideIssuer if another program has the accounts."""
    built_in = issuer()
    if not await users.are_kept_here(database()):
        raise OutsideIssuer("The table users here is another program's. Sign up and log in there.")
    return built_in
