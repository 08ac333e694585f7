"""Request bodies: media type, size, strict JSON, schema."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope

from contract import strict_json
from contract.problems import Fault, RequestTimeout, TooLarge, UnsupportedMediaType
from contract.schemas import Validator

JSON = "application/json"
# RFC 8259 defines no parameter; charset=utf-8 is common and says what holds anyway.
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
        self._required = request_body.get("required", False)
        self._limits = limits

    async def read(self, scope: Scope, receive: Receive) -> tuple[Any, list[Fault]]:
        """Return the value, None for an absent optional body, and its violations.

        Raise UnsupportedMediaType, TooLarge, RequestTimeout, and InvalidRequest if it is not strict JSON.
        """
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                raw = await _collect(receive, self._limits.max_bytes)
        except TimeoutError:
            raise RequestTimeout from None
        if not raw:
            return None, [{"in": "body", "pointer": "", "keyword": "required"}] if self._required else []
        _check_type(scope)
        value = strict_json.loads(raw)
        return value, self._validator.faults(value)


def check_headers(scope: Scope, limits: BodyLimits) -> None:
    """Raise UnsupportedMediaType for an encoded body and TooLarge for a long one, on every operation.

    An operation without a body ignores the content of a body, but not its size.
    """
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            raise UnsupportedMediaType
        if name == b"content-length" and int(value) > limits.max_bytes:  # digits: the server has made sure
            raise _too_large(limits.max_bytes)


def _check_type(scope: Scope) -> None:
    """Raise UnsupportedMediaType unless there is one Content-Type and it is JSON."""
    content_types = [value for name, value in scope["headers"] if name == b"content-type"]
    if len(content_types) != 1 or not _JSON_UTF8.fullmatch(content_types[0]):
        raise UnsupportedMediaType


async def _collect(receive: Receive, limit: int) -> bytes:
    """Return the whole body, chunked or not.

    Raise TooLarge as soon as it exceeds `limit` bytes, and InvalidRequest if it ends early.
    """
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise strict_json.malformed()  # the rest will never come, and nobody reads the answer
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body may be at most {limit} bytes.")
