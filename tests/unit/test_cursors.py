"""Cursors: a cursor is valid for one list of one user. Whatever else is sent raises InvalidRequest."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from contract.problems import InvalidRequest
from persistence.cursors import ListIdentity, Position, decode, encode

MOMENT = datetime(2026, 11, 21, 9, 30, 0, 125_001, tzinfo=UTC)
VALUES: dict[str, Any] = {"created": MOMENT, "updated": MOMENT, "title": "Büy 🥛"}
LISTS = [
    ListIdentity(*names)
    for names in product(("ada", "bob"), ("all", "pending", "completed"), VALUES, ("asc", "desc"))
]
OF_ADA = ListIdentity("ada", "all", "created", "desc")


def pack(content: str | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.encode("latin-1")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpack(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=="))


def digest_of(found: ListIdentity) -> str:
    return json.dumps(unpack(encode(Position(VALUES[found.sort], 1), found))[2])


def assert_rejected(cursor: str, found: ListIdentity) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode(cursor, found)
    [violation] = raised.value.violations
    assert (violation["pointer"], violation["keyword"]) == ("/cursor", "cursor")


def test_cursor_is_valid_for_its_own_list_alone():
    for own in LISTS:
        position = Position(VALUES[own.sort], 2**63 - 1)
        cursor = encode(position, own)
        assert decode(cursor, own) == position
        for other in LISTS:
            if other != own:
                assert_rejected(cursor, other)


def alter(cursor: str, other: str) -> Iterator[str]:
    """Yield the cursor with one change: a bit flipped, characters cut off, or a part of the other cursor."""
    raw = base64.urlsafe_b64decode(cursor + "==")
    for at, bit in product(range(len(raw)), (0, 4, 5)):  # digits to digits, to signs, letters to capitals
        yield pack(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
    for at in range(1, len(cursor)):
        yield from (cursor[:at], cursor[at:], cursor[:at] + other[at:])


@pytest.mark.parametrize("sort", VALUES)
def test_altered_cursor_is_a_position_in_the_own_list_or_rejected(sort: str):
    own = OF_ADA._replace(sort=sort)
    of_ada, of_bob = (
        encode(Position(VALUES[sort], 7), own._replace(owner=owner)) for owner in ("ada", "bob")
    )
    positions, rejected = [], 0
    for cursor in [*alter(of_ada, of_bob), *alter(of_bob, of_ada)]:
        try:
            positions.append(decode(cursor, own))
        except InvalidRequest:
            rejected += 1
    assert positions
    assert rejected
    assert {(type(found.value), type(found.task_id)) for found in positions} == {(type(VALUES[sort]), int)}


NO_POSITIONS = [
    "", "null", "1", '"abc"', "nonsense", "{}", "[]", "[1,2]", "[1,2,", "[1,2,3,4]", "[1,1,1]", '["",1,""]',
    "[[],[],[]]", "[{},{},{}]", "[NaN,1,1]", '{"a":1,"b":2,"c":3}', "[" * 1500, '["\xff",1,""]',
]  # fmt: skip


def test_garbage_is_rejected():
    for cursor, sort in product(["a", "AAAA", "null", "-_-_", *map(pack, NO_POSITIONS)], VALUES):
        assert_rejected(cursor, OF_ADA._replace(sort=sort))


HUGE = "1" + "0" * 40
NO_TIMES = ['"2026-01-01"', "1.5", "1e3", "true", "null", "[]", "{}", HUGE, "-" + HUGE, str(2**63), "9" * 500]
NO_TITLES = ["1", "1.5", "true", "null", "[]", "{}", r'"\u0000"', r'"\ud800"']
NO_IDS = ['"1"', "1.0", "1e0", "true", "null", "[1]", "{}", "0", "-1", str(2**63), HUGE]


@pytest.mark.parametrize(
    ("sort", "values", "ids"),
    [
        ("created", NO_TIMES, ["1"]),
        ("title", NO_TITLES, ["1"]),
        ("created", ["1"], NO_IDS),
        ("title", ['"a"'], NO_IDS),
    ],
    ids=["time", "title", "id after a time", "id after a title"],
)
def test_forged_position_in_the_own_list_is_rejected(sort: str, values: list[str], ids: list[str]):
    own = OF_ADA._replace(sort=sort)
    for value, task_id in product(values, ids):
        assert_rejected(pack(f"[{value}, {task_id}, {digest_of(own)}]"), own)


@pytest.mark.parametrize(
    ("microseconds", "moment"),
    [
        (-62_135_596_800_000_000, datetime(1, 1, 1, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (253_402_300_799_999_999, datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_forged_time_at_the_limits_of_a_datetime_is_read(microseconds: int, moment: datetime):
    cursor = pack(f"[{microseconds}, 1, {digest_of(OF_ADA)}]")
    assert decode(cursor, OF_ADA) == Position(moment, 1)
