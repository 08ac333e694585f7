"""Strict JSON (RFC 8259, I-JSON RFC 7493): rejects input that parsers could read differently."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

from contract.problems import MalformedJson

MAX_DEPTH = 32  # bodies of the contract are one level deep; Python's only limit is the C stack
MAX_DIGITS = 40  # int64 has 19; Python's int() fails beyond 4300

# The quantifier is possessive and the closing quote is optional, so that an unterminated string is scanned
# once and not once for each quote in it.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]|[0-9]{%d,}' % MAX_DIGITS, re.DOTALL)
_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def loads(raw: bytes) -> Any:
    """Parse `raw`.

    Raise MalformedJson if it is not JSON in UTF-8, and for duplicate members, NaN, infinities, NUL, lone
    surrogates, nesting over MAX_DEPTH and numbers over MAX_DIGITS. Parsers read these differently, or the
    database cannot store them.
    """
    _check_size(raw)
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except ValueError:
        raise MalformedJson from None
    if _ESCAPE.search(raw):
        _check_text(value)
    return value


def dumps(value: Any) -> bytes:
    """Serialize `value`. Datetimes must be aware and in UTC. They become RFC 3339."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _check_size(raw: bytes) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        token = match[0][:1]
        if token.isdigit():
            raise MalformedJson
        depth += (token in b"[{") - (token in b"]}")
        if depth > MAX_DEPTH:
            raise MalformedJson


def _check_text(value: Any) -> None:
    """Raise MalformedJson for NUL and lone surrogates, which only escapes can contain."""
    for text in _iterate_strings(value):
        if "\0" in text or not _is_encodable(text):
            raise MalformedJson


def _iterate_strings(value: Any) -> Iterator[str]:
    """Yield every string in `value`, with the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_strings(item)
    elif isinstance(value, dict):
        yield from value
        yield from _iterate_strings([*value.values()])


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _create_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise ValueError("NaN or infinity")


def _parse_number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("beyond a double")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_create_object, parse_constant=_reject_constant, parse_float=_parse_number
)
