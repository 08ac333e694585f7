"""Responses to what never becomes a request of the app."""

from http import HTTPStatus

from contract.problems import Problem
from contract.rendering import document


def render(problem: Problem, request_id: str) -> bytes:
    """Return a whole HTTP/1.1 response."""
    content = document(problem, request_id)
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(content)}",
        "cache-control: no-store",
        "connection: close",
        f"x-request-id: {request_id}",
        "x-content-type-options: nosniff",
        *(f"{name.lower()}: {value}" for name, value in problem.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content
