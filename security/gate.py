"""Lets a request through to its operation only with what the contract's `security` asks for.

And to a user's path only with that user's token, and only so often. It stands in Connexion's security slot
and runs the hook that the scheme names in `x-bearerInfoFunc`, and the limit of `x-rate-limit`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from connexion.utils import get_function_from_name
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.problems import Forbidden, InvalidToken, TooManyRequests, Unauthenticated
from security.limits import Limits, address

Hook = Callable[[str, Request], Awaitable[dict[str, Any]]]


class UndocumentedLimitError(Exception):
    """The contract has a limit without its 429, or a 429 without its limit. The server does not start."""


class UnsecuredOwnerError(Exception):
    """The contract has an operation on a user's path that asks for no token. The server does not start."""


class GateOperation:
    """One operation of the contract: open to all, or behind a hook."""

    def __init__(self, operation: AbstractOperation, next_app: ASGIApp, limits: Limits | None) -> None:
        self._next_app = next_app
        self._limits = limits
        self._limit = _limit(operation)
        self._hook = _hook(operation)
        if self._hook is None and "{user_id}" in operation.path:
            raise UnsecuredOwnerError(f"{operation.method} {operation.path} has {{user_id}} but no security")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises what the hook raises; Unauthenticated without a token; Forbidden on another user's path.

        Then TooManyRequests, counted by user where there is one, by address elsewhere. That all comes before
        anything is read or validated, and no handler can forget it.
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
        """Called by Connexion for each operation at start."""
        return GateOperation(operation, self.next_app, self._rate_limits)


class GateMiddleware(RoutedMiddleware):
    """Stands where Connexion's SecurityMiddleware stands, which looks the hook up anew for each request."""

    api_cls = GateAPI


def bearer_token(scope: Scope) -> str:
    """The token of the one Authorization header (RFC 6750 2.1; the scheme in any case).

    Raises Unauthenticated without such a header or with another scheme, InvalidToken for two of them.
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


def _hook(operation: AbstractOperation) -> Hook | None:
    """The hook of an operation's only scheme; None when it is open to all."""
    if not operation.security:
        return None
    [requirement] = operation.security
    [scheme] = requirement
    hook: Hook = get_function_from_name(operation.security_schemes[scheme]["x-bearerInfoFunc"])
    return hook


def _limit(operation: AbstractOperation) -> str | None:
    """The name of the limit that counts it."""
    name: str | None = operation._operation.get("x-rate-limit")
    if (name is not None) != (str(TooManyRequests.status) in operation.responses):
        raise UndocumentedLimitError(
            f"{operation.method} {operation.path}: x-rate-limit and 429 belong together"
        )
    return name
