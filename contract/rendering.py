"""Renders every error as application/problem+json (RFC 9457)."""

import asyncio
import logging

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.problems import HttpProblem, InvalidRequest, MethodNotAllowed, NotFound, Problem, Unavailable

log = logging.getLogger("todo.problems")


def document(problem: Problem, request_id: str) -> bytes:
    """Return the problem+json document of `problem`."""
    members: dict[str, object] = {
        "type": f"urn:todo:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if isinstance(problem, InvalidRequest):
        members["errors"] = problem.faults
    return orjson.dumps(members)


async def send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Send `problem` as the response."""
    content = document(problem, scope.get("request_id", "unknown"))
    headers = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "Vary": "Authorization",
    } | problem.headers
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


class ProblemMiddleware:
    """Turns each exception into its one response.

    It replaces Connexion's two error middlewares, which repeat and log values and need a registration for
    each family of exceptions.
    """

    def __init__(self, next_app: ASGIApp) -> None:
        self.next_app = next_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and render what it raises unless its response has begun."""
        if scope["type"] != "http":
            return await self.next_app(scope, receive, send)
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.next_app(scope, receive, watch)
        except (Exception, asyncio.CancelledError) as error:
            if begun:
                raise
            await send_problem(self._problem(error), scope, send)

    def _problem(self, error: BaseException) -> Problem:
        if isinstance(error, Problem):
            if error.__cause__ is not None:
                log.warning(error.code, extra={"cause": type(error.__cause__).__name__})
            return error
        if isinstance(error, HTTPException):
            return _from_http(error)
        if isinstance(error, asyncio.CancelledError):  # by the server, when its grace after SIGTERM is over
            return Unavailable("The server is stopping. Try again in a moment.")
        log.error("unhandled", exc_info=error)
        return Problem()


def _from_http(error: HTTPException) -> Problem:
    """Return the problem for an exception of Swagger UI's files; the contract's paths raise problems."""
    if error.status_code == NotFound.status:
        return NotFound()
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(headers={"Allow": "GET, HEAD"})
    return HttpProblem(error.status_code)
