"""Cross-origin requests (Fetch, CORS protocol). A rejected preflight is a problem too."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from contract.problems import PreflightRefused
from contract.rendering import send_problem


class CorsMiddleware(CORSMiddleware):
    """Starlette's middleware, with problem+json for a rejected preflight instead of plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a preflight; add the CORS headers to any other response."""
        try:
            await super().__call__(scope, receive, send)
        except PreflightRefused as refusal:
            await send_problem(refusal, scope, send)

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        """Pass the request on, and add the headers that allow its origin to read the response."""
        more = self._headers_for(request_headers.get("origin"))

        async def send_with_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, receive, send_with_more)

    def _headers_for(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Return the headers that Starlette would find by parsing the headers of every response."""
        headers = {"Vary": "Origin"}
        if origin is not None:
            headers |= self.simple_headers
            if self.is_allowed_origin(origin):
                headers["Access-Control-Allow-Origin"] = origin
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to an allowed preflight. Raise PreflightRefused."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise PreflightRefused
        return response
