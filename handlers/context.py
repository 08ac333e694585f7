"""What a handler reaches of the running app."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from contract.problems import OutsideIssuer
from contract.replies import request_scope
from persistence.database import Database
from security.issuer import Issuer
from security.limits import Limits
from security.passwords import Passwords


@dataclass(frozen=True, kw_only=True)
class Services:
    """What app.py assembles once. `issuer` is None when an outside one signs, `limits` when turned off."""

    database: Database
    limits: Limits | None
    passwords: Passwords
    issuer: Issuer | None
    contract_json: bytes
    clock: Callable[[], datetime]


def services() -> Services:
    """Those of the app that serves the current request."""
    return cast(Services, request_scope.get()["state"]["services"])


def database() -> Database:
    """The data."""
    return services().database


def now() -> datetime:
    """The time, in UTC."""
    return services().clock()


def issuer() -> Issuer:
    """The built-in issuer. Raises OutsideIssuer when there is none."""
    if (built_in := services().issuer) is None:
        raise OutsideIssuer
    return built_in


async def limit(name: str, *whose: str) -> None:
    """Count the request against one more limit than the gate does. Raises TooManyRequests."""
    if (limits := services().limits) is not None:
        await limits.hit(name, *whose)
