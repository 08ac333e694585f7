"""Request bodies: media type, size, strict JSON, schema."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope

from contract import strict_json
from contract.problems import Fault, TooLarge, UnsupportedMediaType
from contract.schemas import Validator

JSON = "application/json"
# RFC 8259 defines no parameter; charset=utf-8 is common and says what holds anyway.
_JSON_UTF8 = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset=("?)utf-?8\1[ \t]*)?', re.IGNORECASE)


class JsonBody:
    """The JSON body of one operation."""

    def __init__(self, request_body: Mapping[str, Any], max_body_bytes: int) -> None:
        self._validator = Validator(request_body["content"][JSON]["schema"], "body")
        self._required = request_body.get("required", False)
        self._max_body_bytes = max_body_bytes

    async def read(self, scope: Scope, receive: Receive) -> tuple[Any, list[Fault]]:
        """The value, None for an absent optional body, and its faults.

        Raises UnsupportedMediaType, TooLarge, and InvalidRequest for what is not strict JSON.
        """
        is_json = _is_json(scope)
        raw = await _collect(scope, receive, self._max_body_bytes)
        if not raw:
            return None, [{"in": "body", "pointer": "", "keyword": "required"}] if self._required else []
        if not is_json:
            raise UnsupportedMediaType
        value = strict_json.loads(raw)
        return value, self._validator.faults(value)


def _is_json(scope: Scope) -> bool:
    """Whether the headers say JSON; False when they say nothing. Raises when they say anything else."""
    content_type: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaType
        if name == b"content-type":
            if content_type is not None:
                raise UnsupportedMediaType
            content_type = value
    if content_type is None:
        return False
    if not _JSON_UTF8.fullmatch(content_type):
        raise UnsupportedMediaType
    return True


async def _collect(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, chunked or not.

    Raises TooLarge as soon as it is known to exceed `limit` bytes, InvalidRequest when it breaks off.
    """
    if _declared_length(scope) > limit:
        raise _too_large(limit)
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


def _declared_length(scope: Scope) -> int:
    value = next((v for name, v in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() and len(value) < 20 else 0  # the server has refused other forms


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body may be at most {limit} bytes.")
