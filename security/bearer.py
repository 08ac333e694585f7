"""The hook that the contract's security scheme names: whose token is it, and is the path theirs?"""

from typing import Any, cast

from starlette.requests import Request

from contract.problems import Forbidden
from security.tokens import Verifier


async def verify(token: str, request: Request) -> dict[str, Any]:
    """The claims of `token`; `sub` is the user.

    Raises InvalidToken, and Forbidden when the path is another user's: here, before anything is read or
    validated, so that no handler can forget it.
    """
    verifier = cast(Verifier, request.state.verifier)
    claims = await verifier.verify(token)
    if request.scope["path_params"].get("user_id", claims["sub"]) != claims["sub"]:
        raise Forbidden
    return claims
