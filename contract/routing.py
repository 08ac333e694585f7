"""Routes as the contract spells them: no redirect, no second spelling of a path or a number."""

from typing import Any

from connexion.middleware.routing import RoutingMiddleware
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp


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
