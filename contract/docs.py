"""Swagger UI, out of the way of every other request."""

from connexion.middleware.swagger_ui import SwaggerUIMiddleware
from starlette.types import Receive, Scope, Send

PATH = "/docs"


class DocsMiddleware(SwaggerUIMiddleware):
    """Connexion's, which would try its routes for each request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a page or a file of Swagger UI, or pass the request on."""
        if scope["type"] == "http" and scope["path"].startswith(PATH):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
