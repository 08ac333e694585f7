"""Routes as the contract spells them: no redirect, no second spelling of a path or a number."""

from typing import Any

from connexion.middleware.routing import RoutingMiddleware
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.problems import NotFound


class IdConvertor(Convertor[int]):
    """A positive decimal without sign or leading zero, of a length that int() takes."""

    regex = "[1-9][0-9]{0,18}"

    def convert(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Its one spelling."""
        return str(value)


class StrictRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing without its redirects (built from the Host header) and its loose integers."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        register_url_convertor("int", IdConvertor())  # in place of Connexion's, which takes +1 and 01
        self.router.redirect_slashes = False

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        """Register the contract's operations."""
        super().add_api(*args, **kwargs)
        for mount in self.router.routes:
            mount.app.redirect_slashes = False


class PathGuardMiddleware:
    """Refuses raw paths that a router or a proxy could read as another path."""

    def __init__(self, next_app: ASGIApp) -> None:
        self.next_app = next_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises NotFound for encoded separators, control characters, `//` and a trailing slash."""
        if scope["type"] == "http" and not _is_plain(scope["path"], scope["raw_path"].lower()):
            raise NotFound
        await self.next_app(scope, receive, send)


def _is_plain(path: str, raw_path: bytes) -> bool:
    return (
        b"%2f" not in raw_path
        and b"//" not in raw_path
        and path.isprintable()
        and (not path.endswith("/") or path == "/docs/")
    )
