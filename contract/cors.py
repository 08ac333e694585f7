"""Cross-origin requests (Fetch, CORS protocol), whose refusals are problems too."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

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

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        """Pass the request on, and say in its answer which origin may read it."""
        more = self._headers_for(request_headers.get("origin"))

        async def send_with_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, receive, send_with_more)

    def _headers_for(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Starlette finds out the same by taking every answer's headers apart."""
        headers = {"Vary": "Origin"}
        if origin is not None:
            headers |= self.simple_headers
            if self.is_allowed_origin(origin):
                headers["Access-Control-Allow-Origin"] = origin
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    def preflight_response(self, request_headers: Headers) -> Response:
        """The permission. Raises PreflightRefused."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise PreflightRefused
        return response
