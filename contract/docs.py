"""Swagger UI at /docs. Its page loads nothing from other origins."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from connexion.middleware.swagger_ui import SwaggerUIMiddleware
from connexion.options import SwaggerUIOptions
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.problems import NotFound

PATH = "/docs"
OPTIONS = SwaggerUIOptions(
    serve_spec=False,  # Connexion's would validate the contract again for each request
    spec_path="/openapi.json",
    swagger_ui_path=PATH,
    swagger_ui_config={
        "url": "/openapi.json",
        "deepLinking": True,
        "defaultModelsExpandDepth": 0,  # collapsed: each operation shows its own schema
        "displayRequestDuration": True,
        "persistAuthorization": True,
        "tryItOutEnabled": True,
    },
)
_FILES = Path(__file__).parent / "page"
# Connexion's page has an inline script, the title "Swagger UI" and no viewport for phones.
_OWN_FILES = {"/docs.js": _FILES / "docs.js", "/docs.css": _FILES / "docs.css"}

# Swagger UI draws its icons from data URLs. Everything else comes from this server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocsMiddleware(SwaggerUIMiddleware):
    """Connexion's middleware, which the edge calls for `/` and for PATH only.

    The page shows the first steps with the tokens of `issuer`: accounts (the built-in one), jwks or secret.
    """

    def __init__(self, app: ASGIApp, *, issuer: str) -> None:
        super().__init__(app)
        self._page = (_FILES / "index.html").read_text(encoding="utf-8").replace("{issuer}", issuer)

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        """Add our files before Connexion's, so that the router finds ours first."""
        self.router.add_route("/", _redirect, methods=["GET"])
        for name in ("/", "/index.html"):
            self.router.add_route(PATH + name, self._serve_page, methods=["GET"])
        for name, file in _OWN_FILES.items():
            self.router.add_route(PATH + name, _serve_file(file), methods=["GET"])
        super().add_api(*args, **kwargs)

    async def _serve_page(self, _request: Request) -> HTMLResponse:
        return HTMLResponse(self._page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a page or a file of Swagger UI. Raise NotFound for any other path."""
        await super().__call__(scope, receive, _add_policy(send))

    async def default_fn(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        """Raise NotFound, instead of passing the request on."""
        raise NotFound


async def _redirect(_request: Request) -> RedirectResponse:
    """Redirect `/` to the page, below the same prefix of a proxy."""
    return RedirectResponse("docs/", status_code=307, headers={"Cache-Control": "no-store"})


def _serve_file(file: Path) -> Callable[[Request], Awaitable[FileResponse]]:
    async def serve(_request: Request) -> FileResponse:
        return FileResponse(file)

    return serve


def _add_policy(send: Send) -> Send:
    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            policy = (b"content-security-policy", _POLICY.encode())
            message["headers"] = [*message["headers"], policy]
        await send(message)

    return send_with_policy
