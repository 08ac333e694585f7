"""The built-in accounts: sign-up, sessions, and the public keys of the tokens."""

import hashlib
from typing import Any

from contract.operation import Response
from contract.problems import OutsideIssuer
from handlers.context import (
    count_request,
    get_database,
    get_issuer,
    get_network,
    get_services,
    get_user,
    now,
)
from persistence import representations, users
from persistence.sessions import IDLE_LIFETIME
from persistence.tables import UserRow
from security import accounts, sessions
from security.issuer import LIFETIME, Issuer
from security.sessions import Refreshed


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
    """Exchange credentials for a session. Every wrong login has the same response and takes one bcrypt.

    The gate counts logins by address. This function counts them by account.
    """
    email = accounts.normalize_email(body["email"])
    await count_request("login", "account", hashlib.sha256(email.encode()).hexdigest())
    issuer = await _get_issuer_with_accounts()
    started = await accounts.log_in(
        get_database(),
        get_services().passwords,
        email=email,
        password=body["password"],
        now=now(),
        network=get_network(),
    )
    return await _respond_with_session(issuer, started.account, _to_new(started))


async def refresh(body: dict[str, Any]) -> Response:
    """Exchange a refresh token for the next one and a new access token."""
    issuer = await _get_issuer_with_accounts()
    refreshed = await sessions.refresh(get_database(), body["refresh_token"], now())
    account = await accounts.get(get_database(), refreshed.token.user)
    return await _respond_with_session(issuer, account, refreshed)


async def logout(body: dict[str, Any]) -> Response:
    """End the session of a refresh token."""
    await _get_issuer_with_accounts()
    await sessions.end(get_database(), body["refresh_token"])
    return None, 204, {}


async def me() -> Response:
    """Return the account of the token."""
    await _get_issuer_with_accounts()
    return representations.to_account(await accounts.get(get_database(), get_user())), 200, {}


async def change_password(body: dict[str, Any]) -> Response:
    """Change the password, end every session, and start a new one."""
    issuer = await _get_issuer_with_accounts()
    started = await accounts.change_password(
        get_database(),
        get_services().passwords,
        get_user(),
        current=body["current_password"],
        new=body["new_password"],
        now=now(),
        network=get_network(),
    )
    return await _respond_with_session(issuer, started.account, _to_new(started))


async def delete_account(body: dict[str, Any]) -> Response:
    """Delete the account with all data."""
    await _get_issuer_with_accounts()
    await accounts.delete(
        get_database(), get_services().passwords, get_user(), password=body["password"], network=get_network()
    )
    return None, 204, {}


async def jwks() -> Response:
    """Return the public keys, newest first."""
    return {"keys": await get_issuer().get_public_jwks()}, 200, {}


def _to_new(started: accounts.Started) -> Refreshed:
    return Refreshed(started.token, int(IDLE_LIFETIME.total_seconds()))


async def _respond_with_session(issuer: Issuer, account: UserRow, refreshed: Refreshed) -> Response:
    session = {
        "access_token": await issuer.sign_token(account.id),
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "refresh_token": str(refreshed.token),
        "refresh_expires_in": refreshed.expires_in_s,
        "user": representations.to_account(account),
    }
    return session, 200, {"Cache-Control": "no-store"}


async def _get_issuer_with_accounts() -> Issuer:
    """Return the built-in issuer. Raise OutsideIssuer if another program has the accounts."""
    built_in = get_issuer()
    if not await users.is_own_table(get_database()):
        raise OutsideIssuer("The table users here is another program's. Sign up and log in there.")
    return built_in
