"""Checks the token, the ownership of the path and the rate limit of each request.

It replaces Connexion's security middleware. The contract's security scheme names the hook in
`x-bearerInfoFunc`, and an operation names its limit in `x-rate-limit`.
"""

from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from connexion.utils import get_function_from_name
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.problems import Forbidden, InvalidToken, TooManyRequests, Unauthenticated
from security.limits import Limits

Hook = Callable[[str, Request], Awaitable[dict[str, Any]]]


class UndocumentedLimitError(Exception):
    """An operation has a rate limit without 429, or 429 without a rate limit. The server does not start."""


class UnsecuredOwnerError(Exception):
    """An operation with a user's path requires no token. The server does not start."""


class GateOperation:
    """The gate of one operation."""

    def __init__(self, operation: AbstractOperation, next_app: ASGIApp, limits: Limits | None) -> None:
        self._next_app = next_app
        self._limits = limits
        self._limit = _limit(operation)
        self._hook = _hook(operation)
        if self._hook is None and "{user_id}" in operation.path:
            raise UnsecuredOwnerError(f"{operation.method} {operation.path} has {{user_id}} but no security")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise what the hook raises, Unauthenticated without a token, Forbidden on another user's path.

        Then raise TooManyRequests, counted by user, or by address without a user. All of this happens before
        the request is read or validated.
        """
        user: str | None = None
        if self._hook is not None:
            claims = await self._hook(bearer_token(scope), Request(scope))
            user = claims["sub"]
            scope["extensions"].setdefault("connexion_context", {})["user"] = user
            if scope["path_params"].get("user_id", user) != user:
                raise Forbidden
        if self._limits is not None and self._limit is not None:
            await self._limits.hit(self._limit, *(("user", user) if user else ("address", address(scope))))
        await self._next_app(scope, receive, send)


class GateAPI(RoutedAPI):
    """The gates of the contract, by operationId."""

    def __init__(self, *args: Any, rate_limits: Limits | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rate_limits = rate_limits
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> GateOperation:
        """Return the gate, for Connexion, which calls this for each operation at startup."""
        return GateOperation(operation, self.next_app, self._rate_limits)


class GateMiddleware(RoutedMiddleware):
    """Replaces Connexion's SecurityMiddleware, which searches the hook for each request."""

    api_cls = GateAPI


def bearer_token(scope: Scope) -> str:
    """Return the token of the one Authorization header (RFC 6750 2.1; the scheme in any case).

    Raise Unauthenticated without such a header or with another scheme, InvalidToken for two headers.
    """
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise Unauthenticated
    if len(values) > 1:
        raise InvalidToken
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated
    return str(token.strip().decode("latin-1"))


def address(scope: Scope) -> str:
    """Return the client's IPv4 address, or its /64 of IPv6, which one customer has."""
    host = str((scope.get("client") or ("",))[0])
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:  # a socket in the file system, or what a trusted proxy says
        return host[:64]
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or ip_network((found, 64), strict=False).network_address
    return str(found)


def _hook(operation: AbstractOperation) -> Hook | None:
    """Return the hook of an operation's only scheme, None if it requires no token."""
    if not operation.security:
        return None
    [requirement] = operation.security
    [scheme] = requirement
    hook: Hook = get_function_from_name(operation.security_schemes[scheme]["x-bearerInfoFunc"])
    return hook


def _limit(operation: AbstractOperation) -> str | None:
    """Return the name of the operation's rate limit."""
    name: str | None = operation._operation.get("x-rate-limit")
    if (name is not None) != (str(TooManyRequests.status) in operation.responses):
        raise UndocumentedLimitError(
            f"{operation.method} {operation.path}: x-rate-limit and 429 belong together"
        )
    return name
