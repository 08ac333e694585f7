"""Request bodies: media type, size, strict JSON, schema."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive

from contract import strict_json
from contract.problems import MalformedJson, RequestTimeout, TooLarge, UnsupportedMediaType
from contract.request import Headers, Request
from contract.validation import Validator
from contract.violations import Violation, create_violation

JSON = "application/json"
HAS_ARRIVED = "todo.body_has_arrived"  # in the ASGI scope, if server/protocol.py has the whole body
# RFC 8259 defines no parameter. charset=utf-8 is common and changes nothing.
_JSON_UTF8 = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset=("?)utf-?8\1[ \t]*)?', re.IGNORECASE)


@dataclass(frozen=True)
class BodyLimits:
    """The maximum size of a body and the deadline for its arrival."""

    max_bytes: int
    timeout_s: float


class JsonBody:
    """The JSON body of one operation."""

    def __init__(self, request_body: Mapping[str, Any], limits: BodyLimits) -> None:
        self._validator = Validator(request_body["content"][JSON]["schema"], "body")
        is_required = request_body.get("required", False)
        self._of_empty_body = [create_violation("body", (), "required", "required")] if is_required else []
        self._limits = limits

    async def read(self, request: Request) -> tuple[Any, list[Violation]]:
        """Return the value, None for an absent optional body, and its violations.

        Raise UnsupportedMediaType, TooLarge, RequestTimeout and MalformedJson.
        """
        has_arrived = request.scope.get(HAS_ARRIVED, False)  # then there is nothing to wait for
        try:
            async with asyncio.timeout(None if has_arrived else self._limits.timeout_s):
                raw = await _collect(request.receive, self._limits.max_bytes)
        except TimeoutError:
            raise RequestTimeout from None
        if not raw:
            return None, self._of_empty_body
        _check_type(request.headers)
        value = strict_json.loads(raw)
        return value, self._validator.find_violations(value)


def check_headers(headers: Headers, limits: BodyLimits) -> None:
    """Raise UnsupportedMediaType for an encoded body and TooLarge for a long one, on every operation.

    An operation without a body ignores the content of a body, but not its size.
    """
    if any(value.strip().lower() != b"identity" for value in headers.get(b"content-encoding", ())):
        raise UnsupportedMediaType
    for value in headers.get(b"content-length", ()):
        if int(value) > limits.max_bytes:  # the HTTP parser accepts digits only
            raise TooLarge(limits.max_bytes)


def _check_type(headers: Headers) -> None:
    """Raise UnsupportedMediaType unless there is one Content-Type and it is JSON."""
    content_types = headers.get(b"content-type", ())
    if len(content_types) != 1 or not _JSON_UTF8.fullmatch(content_types[0]):
        raise UnsupportedMediaType


async def _collect(receive: Receive, limit: int) -> bytes:
    """Return the whole body, chunked or not.

    Raise TooLarge as soon as it exceeds `limit` bytes, and MalformedJson if it ends early.
    """
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedJson  # nobody reads the response
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise TooLarge(limit)
        more = message.get("more_body", False)
    return b"".join(chunks)
