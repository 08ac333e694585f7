"""The hook that the contract's security scheme names: whose token is it?"""

from typing import Any, cast

from starlette.requests import Request

from security.tokens import Verifier


async def verify(token: str, request: Request) -> dict[str, Any]:
    """The claims of `token`; `sub` is the user. Raises InvalidToken, and Unavailable without any keys."""
    verifier = cast(Verifier, request.state.verifier)
    return await verifier.verify(token)
