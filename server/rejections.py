"""Renders responses to requests that do not reach the app."""

from http import HTTPStatus

from contract.problems import Problem
from contract.rendering import MEDIA_TYPE, render_problem


def render_rejection(problem: Problem, request_id: str) -> bytes:
    """Return a whole HTTP/1.1 response."""
    content = render_problem(problem, request_id)
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(content)}",
        "cache-control: no-store",
        "connection: close",
        f"x-request-id: {request_id}",
        "x-content-type-options: nosniff",
        *(f"{name.lower()}: {value}" for name, value in problem.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content
