"""`todo check-token`: explain whether the server accepts a token."""

import asyncio
import sys
from argparse import Namespace
from contextlib import AsyncExitStack

from app import create_verifier, utc_now
from cli.errors import CommandError
from cli.open_database import open_database
from contract.problems import InvalidToken
from security.issuer import Issuer
from security.tokens import LEEWAY_S, Verifier, read_claims
from settings import Settings

REMEDIES = {
    "format": "it is not a JWT of three parts. A session token or a cookie is none: Better Auth returns the"
    " JWT from GET /api/auth/token",
    "typ": "its header `typ` is neither JWT nor at+jwt: it is made for another purpose",
    "alg": "its algorithm is not one of {algorithms}. Are the tokens signed as the settings say?",
    "kid": "no key of the issuer has its `kid`. Is JWKS_URL right, and has the key been revoked?",
    "signature": "its signature does not match the key. Is it the same secret or issuer?",
    "iss": "its issuer is {iss}, and the settings expect {issuer}",
    "aud": "its audience is {aud}, and the settings expect {audience}",
    "exp": "it has expired, or its `exp` is missing, not a number, or more than a year away",
    "nbf": f"it is not valid yet. The clocks may differ by {LEEWAY_S} s",
    "iat": f"it was issued in the future. The clocks may differ by {LEEWAY_S} s",
    "sub": "its `sub` is missing or is not a valid user id",
}


def run(settings: Settings, _arguments: Namespace) -> None:
    """Print the user of the token in standard input. Raise CommandError with the reason for a rejection."""
    token = sys.stdin.readline().strip().removeprefix("Bearer ")
    print(asyncio.run(_check(settings, token)))  # noqa: T201


async def _check(settings: Settings, token: str) -> str:
    async with AsyncExitStack() as stack:
        issuer = None
        if not settings.has_outside_issuer:
            issuer = Issuer(
                await stack.enter_async_context(open_database(settings)), settings.public_url, utc_now
            )
        verifier = create_verifier(settings, issuer)
        try:
            user = await verifier.verify(token)
        except InvalidToken as error:
            raise CommandError(
                f"rejected ({error.reason}): {_explain(error.reason, token, verifier)}"
            ) from None
    return f"valid: the user is {user}"


def _explain(reason: str, token: str, verifier: Verifier) -> str:
    """Return the cause and the remedy, with issuer and audience, which are not secret."""
    claims = read_claims(token) if reason in {"iss", "aud"} else {}
    return REMEDIES[reason].format(
        algorithms=", ".join(sorted(verifier.algorithms)),
        issuer=verifier.issuer,
        audience=verifier.audience,
        iss=claims.get("iss"),
        aud=claims.get("aud"),
    )
