"""Renders every error as application/problem+json (RFC 9457)."""

import asyncio
import logging

from starlette.exceptions import HTTPException
from starlette.types import Send

from contract import strict_json
from contract.problems import MethodNotAllowed, NotFound, Problem, Unavailable

log = logging.getLogger("todo.problems")

MEDIA_TYPE = "application/problem+json"


def render_problem(problem: Problem, request_id: str) -> bytes:
    """Return `problem` as JSON."""
    return strict_json.dumps(
        {
            "type": f"urn:todo:problem:{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "request_id": request_id,
            **problem.members,
        }
    )


async def send_problem(problem: Problem, request_id: str, send: Send) -> None:
    """Send `problem` as the response."""
    content = render_problem(problem, request_id)
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "Vary": "Authorization",
        **problem.headers,
    }
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def to_problem(error: BaseException) -> Problem:
    """Return the problem for any exception. Log an unexpected one."""
    if isinstance(error, Problem):
        if error.__cause__ is not None:
            log.warning(error.code, extra={"cause": type(error.__cause__).__name__})
        return error
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, asyncio.CancelledError):  # by the server, at the end of its shutdown
        return Unavailable("The server is stopping. Try again in a moment.")
    log.error("unhandled", exc_info=error)
    return Problem()


def _from_http(error: HTTPException) -> Problem:
    """Return the problem for an exception of Swagger UI's files; the contract's paths raise problems."""
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(headers={"Allow": "GET, HEAD"})
    return NotFound()
