"""Access to the running app for handlers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from contract.problems import OutsideIssuer
from contract.request import current_request
from persistence.database import Database
from security.issuer import Issuer
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
    clock: Callable[[], datetime]


def services() -> Services:
    """Return the services of the app that serves the current request."""
    return cast(Services, current_request.get().scope["state"]["services"])


def database() -> Database:
    """Return the database."""
    return services().database


def now() -> datetime:
    """Return the time in UTC."""
    return services().clock()


def issuer() -> Issuer:
    """Return the built-in issuer. Raise OutsideIssuer if there is none."""
    if (built_in := services().issuer) is None:
        raise OutsideIssuer
    return built_in


async def limit(name: str, *counted: str) -> None:
    """Count the request for a limit beside the gate's. Raise TooManyRequests."""
    if (limits := services().rate_limits) is not None:
        await limits.hit(name, *counted)
