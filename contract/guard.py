"""Rejects requests that are invalid for every operation, before routing and validation."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from contract.problems import HeadersTooLarge, InvalidRequest, NotFound, Unreadable, UriTooLong

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024  # four times the largest token
MAX_QUERY_BYTES = 4096  # twice the longest that the contract allows


class GuardMiddleware:
    """Rejects paths and headers that this server and a proxy could interpret differently."""

    def __init__(self, next_app: ASGIApp) -> None:
        self.next_app = next_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise Unreadable, HeadersTooLarge, InvalidRequest (Host), UriTooLong or NotFound."""
        if scope["type"] == "http":
            if scope["http_version"] == "0.9":  # no version in the request line
                raise Unreadable
            _check_headers(scope["headers"])
            if len(scope["query_string"]) > MAX_QUERY_BYTES:
                raise UriTooLong
            if not _is_plain(scope["path"], scope["raw_path"].lower()):
                raise NotFound
        await self.next_app(scope, receive, send)


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    size = hosts = 0
    for name, value in headers:
        size += len(name) + len(value)
        hosts += name == b"host"
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise HeadersTooLarge
    if hosts != 1:  # RFC 9112 3.2
        keyword = "uniqueItems" if hosts else "required"
        raise InvalidRequest([{"in": "header", "pointer": "/Host", "keyword": keyword}])


def _is_plain(path: str, raw_path: bytes) -> bool:
    """Return whether there is no encoded separator, control character, empty segment or trailing slash."""
    return (
        b"%2f" not in raw_path
        and b"//" not in raw_path
        and not _CONTROL.search(path)
        and (not path.endswith("/") or path == "/docs/")
    )
