"""`todo keys rotate`."""

import asyncio
from argparse import Namespace
from datetime import UTC, datetime

from cli.errors import CommandError
from cli.open_database import open_database
from persistence import signing_keys
from persistence.errors import ConstraintViolated
from security.issuer import create_key, select_valid
from settings import Settings


def rotate(settings: Settings, arguments: Namespace) -> None:
    """Create the next key of the built-in issuer and print its id."""
    if settings.has_outside_issuer:
        raise CommandError("an outside issuer signs the tokens: rotate its keys there")
    print(asyncio.run(_rotate(settings, revoke=arguments.revoke)))  # noqa: T201


async def _rotate(settings: Settings, *, revoke: bool) -> str:
    """Store a new key. Keep the keys whose tokens have not expired, unless they are revoked."""
    kid, private_jwk = create_key()
    now = datetime.now(UTC)
    async with open_database(settings) as db:
        try:
            await signing_keys.rotate(
                db,
                kid=kid,
                private_jwk=private_jwk,
                now=now,
                select_kept=lambda rows: rows[:1] if revoke else select_valid(rows, now),
            )
        except ConstraintViolated:
            raise CommandError("another rotation runs at this moment") from None
    return kid
