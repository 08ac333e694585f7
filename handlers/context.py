"""Gives handlers the services of the app."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from contract.problems import OutsideIssuer
from contract.request import current_request
from persistence.database import Database
from persistence.quota import Quota
from security.issuer import Issuer
from security.networks import get_networks
from security.passwords import Passwords
from security.rate_limits import RateLimits


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts that app.py assembles. `issuer` is None with an outside issuer, `rate_limits` if off."""

    database: Database
    rate_limits: RateLimits | None
    passwords: Passwords
    issuer: Issuer | None
    contract_json: bytes
    quota: Quota
    clock: Callable[[], datetime]


def get_services() -> Services:
    """Return the services of the app that serves the current request."""
    return cast(Services, current_request.get().scope["state"]["services"])


def get_database() -> Database:
    """Return the database."""
    return get_services().database


def now() -> datetime:
    """Return the time in UTC."""
    return get_services().clock()


def get_issuer() -> Issuer:
    """Return the built-in issuer. Raise OutsideIssuer if there is none."""
    if (built_in := get_services().issuer) is None:
        raise OutsideIssuer
    return built_in


def get_user() -> str:
    """Return the user of the token."""
    user = current_request.get().record.user
    assert user is not None  # the operation requires a token
    return user


def get_network() -> str:
    """Return the widest network of the client."""
    return get_networks(current_request.get().scope.get("client"))[-1].name


async def count_request(name: str, *counted: str) -> None:
    """Count the request for a limit that the gate does not count. Raise TooManyRequests."""
    if (limits := get_services().rate_limits) is not None:
        await limits.hit(name, *counted)
