"""Strict JSON: one meaning for every parser (RFC 8259, RFC 7493), or an error."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from contract import strict_json
from contract.problems import InvalidRequest

TASK = b'{"title": "Buy milk"}'
NOT_STRICT = {
    "empty": b"",
    "cut off": b'{"title": "Buy milk"',
    "cut off in a string": b'{"title": "Buy mi',
    "two values": TASK + b" {}",
    "the same value twice": TASK + TASK,
    "trailing comma": b'{"title": "Buy milk",}',
    "comment": b'{"title": "Buy milk"} // or not',
    "single quotes": b"{'title': 'Buy milk'}",
    "line break in a string": b'{"title": "Buy\nmilk"}',
    "white space only": b" \n",
    "byte order mark": b"\xef\xbb\xbf" + TASK,
    "UTF-16": TASK.decode().encode("utf-16"),
    "latin-1": '{"title": "é"}'.encode("latin-1"),
    "invalid UTF-8": b'{"title": "\xff"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "high surrogate alone": rb'{"title": "\ud83d"}',
    "low surrogate alone": rb'{"title": "\uDE00"}',
    "surrogates in the wrong order": rb'{"title": "\ude00\ud83d"}',
    "lone surrogate in a list": rb'{"title": "Buy milk", "tags": ["\ud83d"]}',
    "lone surrogate in a name": rb'{"title": "Buy milk", "\ud83d": 1}',
    "NUL": b'{"title": "Buy\0milk"}',
    "NUL escaped": rb'{"title": "Buy\u0000milk"}',
    "NUL in an unknown member": rb'{"title": "Buy milk", "note": "\u0000"}',
    "NUL in a list": rb'{"title": "Buy milk", "tags": ["\u0000"]}',
    "NUL in a name": rb'{"title": "Buy milk", "\u0000": 1}',
    "duplicate members": b'{"title": "Buy milk", "title": "Buy oats"}',
    "duplicate members, one escaped": rb'{"title": "Buy milk", "\u0074itle": "Buy oats"}',
    "duplicate members in an inner object": b'{"title": "Buy milk", "tags": {"a": 1, "a": 2}}',
    "NaN": b'{"title": "Buy milk", "priority": NaN}',
    "infinity": b'{"title": "Buy milk", "priority": -Infinity}',
    "a number beyond a double": b'{"title": "Buy milk", "priority": 1e400}',
    "a number beyond a double, in capitals": b"[1.5E+0309]",
    "a number beyond a double after others": b"[" + b"1e308, " * 100 + b"-2e308]",
    "integer of 40 digits": b"1" * 40,
    "integer of 5000 digits": b'{"title": "Buy milk", "priority": ' + b"9" * 5000 + b"}",
    "fraction of 5000 digits": b'{"title": "Buy milk", "priority": 0.' + b"9" * 5000 + b"}",
    "exponent of 5000 digits": b'{"title": "Buy milk", "priority": 1e' + b"9" * 5000 + b"}",
    "arrays 33 deep": b"[" * 33 + b"]" * 33,
    "arrays and objects 33 deep": b'[{"a":' * 16 + b"[0]" + b"}]" * 16,
    "1001 arrays": b"[" + b"[]," * 999 + b"[]]",
    "1001 objects": b"[" + b"{}," * 999 + b"{}]",
    "brackets that do not match": b"[" + b"[]," * 40 + b"[}]",
    "arrays 30,000 deep": b"[" * 30_000 + b"]" * 30_000,
    "arrays 30,000 deep, not closed": b"[" * 30_000,
    "objects 10,000 deep": b'{"a":' * 10_000,
    "inner arrays 1000 deep": b'{"title": "Buy milk", "tags": ' + b"[" * 1000 + b"]" * 1000 + b"}",
}
STRICT = {
    "escaped pair": (rb'"\ud83d\ude00"', "😀"),
    "escaped pair in lower case": (rb'"\ud83e\udd5b"', "🥛"),
    "escaped backslashes": (rb'"\\ud83d \" \u005c"', r"\ud83d " + '" \\'),
    "an escaped backslash and u0000": (rb'"a\\u0000b"', r"a\u0000b"),
    "brackets in a string": (rb'{"\u0074itle": "[[[[[[\"{{{{"}', {"title": '[[[[[["{{{{'}),
    "200 brackets in a string": (b'"' + b"[" * 200 + b'"', "[" * 200),
    "digits in a string": (b'\n\t["' + b"9" * 200 + b'"]\r\n', ["9" * 200]),
    "numbers": (b'[1.5e3, -0, 1e1, {"a": null}, true]', [1500.0, 0, 10.0, {"a": None}, True]),
    "integer of 39 digits": (b"1" * 39, int("1" * 39)),
    "1000 arrays": (b"[" + b"[]," * 998 + b"[]]", [[]] * 999),
    "large exponents": (b'["1e999", 1e308, 1E+0300, 0e999, 1e-999]', ["1e999", 1e308, 1e300, 0.0, 0.0]),
    "white space around": (b" " * 60_000 + b"1", 1),
    "the same name in two objects": (b'{"a": 1, "b": {"a": 2}}', {"a": 1, "b": {"a": 2}}),
}


@pytest.mark.parametrize("raw", NOT_STRICT.values(), ids=NOT_STRICT)
def test_other_json_raises_one_violation_of_the_whole_body(raw: bytes):
    with pytest.raises(InvalidRequest) as raised:
        strict_json.loads(raw)
    [violation] = raised.value.violations
    assert (violation["in"], violation["pointer"], violation["keyword"]) == ("body", "", "json")


@pytest.mark.parametrize(("raw", "value"), STRICT.values(), ids=STRICT)
def test_unusual_but_strict_json_is_read(raw: bytes, value: Any):
    assert strict_json.loads(raw) == value


@pytest.mark.parametrize("raw", [b"[" * 32 + b"]" * 32, b'[{"a":' * 16 + b"0" + b"}]" * 16], ids=["[", "[{"])
def test_32_levels_of_nesting_are_read(raw: bytes):
    assert strict_json.loads(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw", [b'{"title": "' + b'\\"' * 30_000, b'"\\' * 30_000, b"[" * 60_000, b"9" * 60_000], ids=len
)
def test_body_without_an_end_is_rejected_at_once(raw: bytes):
    """The server reads one body at a time, so that a slow one delays every user."""
    began = time.perf_counter()
    with pytest.raises(InvalidRequest):
        strict_json.loads(raw)
    assert time.perf_counter() - began < 2


def test_time_is_written_in_rfc_3339_with_a_z():
    moment = datetime(2026, 11, 21, 9, 30, 0, 125_000, tzinfo=UTC)
    assert strict_json.dumps({"at": moment}) == b'{"at":"2026-11-21T09:30:00.125000Z"}'
