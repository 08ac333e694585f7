"""Cross-origin requests (Fetch, CORS protocol), whose refusals are problems too."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.problems import PreflightRefused
from contract.rendering import send_problem


class CorsMiddleware(CORSMiddleware):
    """Starlette's, whose refusal of a preflight is plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; add the CORS headers to any other answer."""
        try:
            await super().__call__(scope, receive, send)
        except PreflightRefused as refusal:
            await send_problem(refusal, scope, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The permission. Raises PreflightRefused."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise PreflightRefused
        return response
