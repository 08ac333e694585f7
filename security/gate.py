"""Checks the token, the ownership of the path and the rate limit of each request.

The contract's security scheme names the hook in `x-bearerInfoFunc`, and an operation names its limit in
`x-rate-limit`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from connexion.operations import AbstractOperation
from connexion.utils import get_function_from_name

from contract.problems import Forbidden, InvalidToken, TooManyRequests, Unauthenticated
from contract.request import Headers, Request
from security.networks import get_networks
from security.rate_limits import RateLimits

Hook = Callable[[str, Request], Awaitable[dict[str, Any]]]


class UndocumentedLimitError(Exception):
    """An operation has a rate limit without 429, or 429 without a rate limit. The server does not start."""


class UnsecuredOwnerError(Exception):
    """An operation with a user's path requires no token. The server does not start."""


class Gate:
    """The gate of one operation. Without `rate_limits` it has no rate limit."""

    def __init__(self, operation: AbstractOperation, rate_limits: RateLimits | None) -> None:
        self._rate_limits = rate_limits
        self._limit = _find_limit(operation)
        self._hook = _find_hook(operation)
        if self._hook is None and "{user_id}" in operation.path:
            raise UnsecuredOwnerError(f"{operation.method} {operation.path} has {{user_id}} but no security")

    async def admit(self, request: Request) -> None:
        """Check the token, then the ownership, then the rate limit: by user, by networks without a user.

        Raise the errors of the hook, Unauthenticated without a token, Forbidden on another user's path, and
        TooManyRequests.
        """
        user: str | None = None
        if self._hook is not None:
            claims = await self._hook(get_bearer_token(request.headers), request)
            user = request.record.user = claims["sub"]
            if request.path_arguments.get("user_id", user) != user:
                raise Forbidden
        if self._rate_limits is None or self._limit is None:
            return
        if user is not None:
            await self._rate_limits.hit(self._limit, "user", user)
            return
        for kind, name, allowance in get_networks(request.scope.get("client")):
            await self._rate_limits.hit(self._limit, kind, name, times=allowance)


def get_bearer_token(headers: Headers) -> str:
    """Return the token of the Authorization header (RFC 6750 2.1; the scheme in any case).

    Raise Unauthenticated without such a header or with another scheme, InvalidToken for two headers.
    """
    values = headers.get(b"authorization")
    if not values:
        raise Unauthenticated
    if len(values) > 1:
        raise InvalidToken("format")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated
    return str(token.strip().decode("latin-1"))


def _find_hook(operation: AbstractOperation) -> Hook | None:
    """Return the hook of the operation's only security scheme. None if it requires no token."""
    if not operation.security:
        return None
    [requirement] = operation.security
    [scheme] = requirement
    hook: Hook = get_function_from_name(operation.security_schemes[scheme]["x-bearerInfoFunc"])
    return hook


def _find_limit(operation: AbstractOperation) -> str | None:
    """Return the name of the operation's rate limit."""
    name: str | None = operation._operation.get("x-rate-limit")
    if (name is not None) != (str(TooManyRequests.status) in operation.responses):
        raise UndocumentedLimitError(
            f"{operation.method} {operation.path}: x-rate-limit and 429 belong together"
        )
    return name
