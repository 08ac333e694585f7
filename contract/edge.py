"""The edge: the outer one of the two layers that every request passes. contract/operation.py is the other."""

import asyncio
from typing import TYPE_CHECKING, Any

from connexion.middleware.abstract import SpecMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract import cors, docs, guard
from contract.rendering import send_problem, to_problem
from contract.request import Request
from contract.routing import Routes

if TYPE_CHECKING:
    from observability.spans import Tracing

_NOSNIFF = (b"x-content-type-options", b"nosniff")


class EdgeMiddleware(SpecMiddleware):
    """Identify, check, route and log each request, and turn each exception into one response.

    It replaces Connexion's middlewares for errors, routing, security, parameters and validation, which repeat
    values in responses and logs, and repeat work of the startup for each request.
    """

    def __init__(self, app: ASGIApp, *, cors_rules: cors.Cors, tracing: "Tracing | None") -> None:
        self._app = app
        self._cors = cors_rules
        self._serve_traced = tracing.around_request(self._serve) if tracing else self._serve

    def add_api(self, specification: Any, **kwargs: Any) -> None:
        """Add the operations of the contract, for Connexion, which calls this at startup."""
        self._routes = Routes(specification, **kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and write its log record and metrics."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope, receive)
        try:
            await self._serve_traced(request, send)
        finally:
            request.record.write()

    async def _serve(self, request: Request, send: Send) -> None:
        """Send one response, also if an exception is raised before it has begun."""
        is_preflight = cors.is_preflight(request)
        send = _complete(request, () if is_preflight else self._cors.headers_for(request), send)
        try:
            if is_preflight:
                await self._cors.preflight_response(request)(request.scope, request.receive, send)
            else:
                await self._route(request, send)
        except (Exception, asyncio.CancelledError) as error:
            if request.record.status is not None:
                raise
            problem = to_problem(error)
            request.record.fields |= {"problem": problem.code, **problem.log_fields}
            await send_problem(problem, request.record.id, send)

    async def _route(self, request: Request, send: Send) -> None:
        guard.check(request)
        path = request.scope["path"]
        if path.startswith(docs.PATH) or path == "/":
            await self._app(request.scope, request.receive, send)
            return
        operation, request.path_arguments = self._routes.find(request.record.method, path)
        request.record.operation = operation.name
        await operation(request, send)


def _complete(request: Request, cors_headers: cors.RawHeaders, send: Send) -> Send:
    """Return a `send` that adds the headers of every response and records its status."""
    record = request.record

    async def send_completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            own = [*cors_headers, (b"x-request-id", record.id.encode()), _NOSNIFF]
            message["headers"] = [*message["headers"], *own]
        await send(message)

    return send_completed
