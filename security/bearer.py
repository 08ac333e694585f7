"""The hook that the contract's security scheme names."""

from typing import Any, cast

from contract.request import Request
from security.tokens import Verifier


async def verify(token: str, request: Request) -> dict[str, Any]:
    """Return the user of `token` as `sub`. Raise InvalidToken, and Unavailable without keys."""
    verifier = cast(Verifier, request.scope["state"]["verifier"])
    return {"sub": await verifier.verify(token)}
