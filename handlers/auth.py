"""The built-in accounts: sign-up, login, and the public keys of the tokens."""

import hashlib
from typing import Any

from contract.operation import Response
from contract.problems import OutsideIssuer
from handlers.context import count_request, get_database, get_issuer, get_network, get_services, now
from persistence import representations, users
from security import accounts
from security.issuer import LIFETIME, Issuer


async def signup(body: dict[str, Any]) -> Response:
    """Create an account."""
    await _get_issuer_with_accounts()
    row = await accounts.create(
        get_database(),
        get_services().passwords,
        email=body["email"],
        password=body["password"],
        now=now(),
        network=get_network(),
    )
    return representations.to_account(row), 201, {}


async def login(body: dict[str, Any]) -> Response:
    """Exchange credentials for a token. Every wrong login has the same response and takes one bcrypt.

    The gate counts logins by address. This function counts them by account.
    """
    email = accounts.normalize_email(body["email"])
    await count_request("login", "account", hashlib.sha256(email.encode()).hexdigest())
    signer = await _get_issuer_with_accounts()
    row = await users.find_by_email(get_database(), email)
    await get_services().passwords.check(
        body["password"], row.password_hash if row else None, network=get_network()
    )
    assert row is not None  # otherwise check() has raised
    session = {
        "access_token": await signer.sign_token(row.id),
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "user": representations.to_account(row),
    }
    return session, 200, {"Cache-Control": "no-store"}


async def jwks() -> Response:
    """Return the public keys, newest first."""
    return {"keys": await get_issuer().get_public_jwks()}, 200, {}


async def _get_issuer_with_accounts() -> Issuer:
    """Return the built-in issuer. Raise OutsideIssuer if another program has the accounts."""
    built_in = get_issuer()
    if not await users.is_own_table(get_database()):
        raise OutsideIssuer("The table users here is another program's. Sign up and log in there.")
    return built_in
