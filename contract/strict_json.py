"""Strict JSON (RFC 8259, I-JSON RFC 7493): rejects input that parsers could read differently."""

import json
import math
import re
from typing import Any, NoReturn

import orjson

from contract.problems import MalformedJson

MAX_DEPTH = 32  # bodies of the contract are one level deep; Python's only limit is the C stack
MAX_CONTAINERS = 1000  # objects and arrays; each object costs a call of _create_object
MAX_DIGITS = 40  # int64 has 19; Python's int() fails beyond 4300

# All checks run in C, because a Python loop over 60 kB of brackets takes 60 ms.
# The quantifier of a string is possessive and the closing quote is optional, so that an unterminated string
# is scanned once and not once for each quote in it.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
# With each digit as 0, `in` finds a pattern ten times as fast as a regular expression.
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * MAX_DIGITS
_LARGE_NUMBER = re.compile(rb"[0-9.]++[eE]\+?[0-9]{3,}")
_LARGE_EXPONENTS = (b"e000", b"e+000", b"E000", b"E+000")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def loads(raw: bytes) -> Any:
    """Parse `raw`.

    Raise MalformedJson if it is not JSON in UTF-8, and for duplicate members, NaN, infinities, NUL, lone
    surrogates, more than MAX_CONTAINERS, nesting over MAX_DEPTH and numbers over MAX_DIGITS. Parsers read
    these differently, or they take long, or the database cannot store them.
    """
    if (simple := _load_simple(raw)) is not None:
        return simple
    zeros = raw.translate(_TO_ZEROS)
    _check_size(raw, zeros)
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except ValueError:
        raise MalformedJson from None
    if b"\\u" in raw:
        _check_text(value)
    if any(exponent in zeros for exponent in _LARGE_EXPONENTS):
        _check_numbers(raw)
    return value


def _load_simple(raw: bytes) -> dict[str, Any] | None:
    """Return an object of texts, booleans and nulls, without escapes. None for anything else.

    orjson is as strict except for duplicate members, and the number of quotes shows that there are none.
    """
    if b"\\" in raw:
        return None
    try:
        value = orjson.loads(raw)
    except ValueError:
        return None
    if type(value) is not dict:
        return None
    texts = len(value)
    for member in value.values():
        if isinstance(member, str):
            texts += 1
        elif member is not None and not isinstance(member, bool):
            return None
    return value if raw.count(b'"') == 2 * texts else None


def dumps(value: Any) -> bytes:
    """Serialize `value`. Datetimes must be aware and in UTC. They become RFC 3339."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _check_size(raw: bytes, zeros: bytes) -> None:
    """Raise MalformedJson for too many or too deep containers, and for too long numbers."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH and _LONG_NUMBER not in zeros:
        return
    bare = _STRING.sub(b"", zeros)
    brackets = bare.translate(_TO_SQUARE, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS or _LONG_NUMBER in bare or not _is_flat(brackets):
        raise MalformedJson


def _is_flat(brackets: bytes) -> bool:
    """Return whether every bracket is closed and they are at most MAX_DEPTH deep."""
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    return not brackets


def _check_numbers(raw: bytes) -> None:
    """Raise MalformedJson for numbers beyond a double."""
    if any(math.isinf(float(number)) for number in _LARGE_NUMBER.findall(_STRING.sub(b"", raw))):
        raise MalformedJson


def _check_text(value: Any) -> None:
    """Raise MalformedJson for NUL and lone surrogates, which only escapes can contain."""
    try:
        encoded = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MalformedJson from None
    if _ESCAPED_NUL.search(encoded):
        raise MalformedJson


def _create_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise ValueError("NaN or infinity")


_DECODER = json.JSONDecoder(object_pairs_hook=_create_object, parse_constant=_reject_constant)
