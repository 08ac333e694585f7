"""Rejects requests that are invalid for every operation, before routing and validation."""

import re

from contract.problems import HeadersTooLarge, InvalidRequest, NotFound, TrailingSlash, Unreadable, UriTooLong
from contract.request import Request
from contract.violations import create_violation

_WITH_SLASH = ("/", "/docs/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024  # four times the largest token
MAX_QUERY_BYTES = 4096  # twice the longest that the contract allows


def check(request: Request) -> None:
    """Reject paths and headers that this server and a proxy could interpret differently.

    Raise Unreadable, HeadersTooLarge, InvalidRequest (Host), UriTooLong or NotFound.
    """
    scope = request.scope
    if scope["http_version"] == "0.9":  # no version in the request line
        raise Unreadable
    if len(scope["headers"]) > MAX_HEADERS or request.header_bytes > MAX_HEADER_BYTES:
        raise HeadersTooLarge
    hosts = len(request.headers.get(b"host", ()))
    if hosts != 1:  # RFC 9112 3.2
        keyword, text = ("uniqueItems", "only once") if hosts else ("required", "required")
        raise InvalidRequest([create_violation("header", ["Host"], keyword, text)])
    if len(scope["query_string"]) > MAX_QUERY_BYTES:
        raise UriTooLong
    if not _is_plain(scope["path"], scope["raw_path"].lower()):
        raise NotFound
    if scope["path"].endswith("/") and scope["path"] not in _WITH_SLASH:
        raise TrailingSlash


def _is_plain(path: str, raw_path: bytes) -> bool:
    """Return whether there is no encoded separator, control character or empty segment."""
    return b"%2f" not in raw_path and b"//" not in raw_path and not _CONTROL.search(path)
