"""A cursor is good for one list of one person. That it is JSON in base64 is known here only to forge it."""

import base64
import json
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.test_paging import ORDERS, SORTS, next_url
from tests.support.users import User, new_user


def link_of(person: User, **query: Any) -> str:
    """The URL of the second page of a list."""
    for title in "ab":
        person.create_task(title)
    return next_url(person.get(limit=1, **query)) or ""


def cursor_of(person: User, **query: Any) -> str:
    return parse_qs(urlsplit(link_of(person, **query)).query)["cursor"][0]


def packed(content: str | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.encode("latin-1")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpacked(cursor: str) -> list[Any]:
    return json.loads(base64.urlsafe_b64decode(cursor + "=="))


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [{"in": "query", "pointer": "/cursor", "keyword": "cursor"}]


LISTS = [
    {"sort": sort, "order": order, "status": status}
    for sort, order, status in product(SORTS, ORDERS, ("all", "pending"))
]


@pytest.mark.parametrize("query", LISTS, ids=lambda query: "-".join(query.values()))
def test_next_page_of_another_user_is_refused(ada: User, bob: User, query: dict[str, str]):
    link, cursor = link_of(bob, **query), cursor_of(bob, **query)
    assert ada.http.get(link, headers=ada.headers).status_code == 403
    assert_refused(ada.get(cursor=cursor, **query))


def altered(cursor: str, other: str) -> Iterator[str]:
    """The cursor with a bit flipped, a character cut off, a part of the other put in: one at a time."""
    raw = base64.urlsafe_b64decode(cursor + "==")
    for at, bit in product(range(len(raw)), (0, 4, 5)):  # digits to digits, to signs, letters to capitals
        yield packed(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
    for at in range(1, len(cursor)):
        yield cursor[:at]
        yield cursor[at:]
        yield cursor[:at] + other[at:]


@pytest.mark.parametrize("sort", SORTS)
def test_altered_cursors_show_own_tasks_or_nothing(ada: User, bob: User, sort: str):
    of_ada, of_bob = cursor_of(ada, sort=sort), cursor_of(bob, sort=sort)
    own, seen = ada.get().json(), set()
    for cursor in [*altered(of_ada, of_bob), *altered(of_bob, of_ada)]:
        answer = ada.get(sort=sort, cursor=cursor)
        seen.add(answer.status_code)
        assert answer.status_code in {200, 400}, cursor
        assert answer.status_code == 400 or all(task in own for task in answer.json()), cursor
        assert bob.id not in f"{answer.headers} {answer.text}", cursor
    assert seen == {200, 400}


@pytest.mark.parametrize(
    ("of", "used_for"),
    [
        ({}, {"sort": "updated"}),
        ({}, {"sort": "title"}),
        ({"sort": "title"}, {}),
        ({}, {"order": "asc"}),
        ({"order": "asc"}, {}),
        ({}, {"status": "pending"}),
        ({"status": "pending"}, {"status": "completed"}),
    ],
)
def test_cursor_of_another_list_is_400(ada: User, of: dict, used_for: dict):
    assert_refused(ada.get(cursor=cursor_of(ada, **of), **used_for))


NO_POSITIONS = [
    "", "null", "1", '"abc"', "nonsense", "{}", "[]", "[1,2]", "[1,2,", "[1,2,3,4]", "[1,1,1]", '["",1,""]',
    "[[],[],[]]", "[{},{},{}]", "[NaN,1,1]", '{"a":1,"b":2,"c":3}', "[" * 1500, '["\xff",1,""]',
]  # fmt: skip


@pytest.mark.parametrize(
    "cursor", ["a", "AAAA", "null", "-_-_", *map(packed, NO_POSITIONS)], ids=lambda cursor: cursor[:12]
)
def test_garbage_for_a_cursor_is_400(ada: User, cursor: str):
    for sort in SORTS:
        assert ada.get(sort=sort, cursor=cursor).status_code == 400


HUGE = "1" + "0" * 40
NO_TIMES = ['"2026-01-01"', "1.5", "1e3", "true", "null", "[]", "{}", HUGE, "-" + HUGE, str(2**63), "9" * 500]
NO_TITLES = ["1", "1.5", "true", "null", "[]", "{}", r'"\u0000"', r'"\ud800"']
NO_IDS = ['"1"', "1.0", "1e0", "true", "null", "[1]", "{}", "0", "-1", str(2**63), HUGE]


@pytest.mark.parametrize(
    ("sort", "value", "task_id"),
    [
        *[("created", value, "1") for value in NO_TIMES],
        *[("title", value, "1") for value in NO_TITLES],
        *[("created", "1", task_id) for task_id in NO_IDS],
        *[("title", '"a"', task_id) for task_id in NO_IDS],
    ],
    ids=lambda part: part[:12],
)
def test_forged_cursor_of_the_right_list_is_400(ada: User, sort: str, value: str, task_id: str):
    digest = json.dumps(unpacked(cursor_of(ada, sort=sort))[2])
    assert_refused(ada.get(sort=sort, cursor=packed(f"[{value}, {task_id}, {digest}]")))


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_cursor_at_the_ends_of_time_gives_a_list(ada: User, year: int):
    """Nobody was given one, but nothing may break."""
    _, task_id, digest = unpacked(cursor_of(ada, sort="updated"))
    microseconds = {1: -62_135_596_800_000_000, 1970: 0, 9999: 253_402_300_799_999_999}[year]
    forged = packed(json.dumps([microseconds, task_id, digest]))
    assert len(ada.get(sort="updated", cursor=forged).json()) == (2 if year == 9999 else 0)


def test_forged_cursor_shows_nothing_of_anyone_else(ada: User, http: httpx.Client):
    before, after = new_user(http, "before"), new_user(http, "zz-after")
    for person in (before, after):
        person.create_task("b")
    _, _, digest = unpacked(cursor_of(ada, sort="title"))
    everything = ada.get(sort="title", cursor=packed(json.dumps(["", 1, digest]))).json()
    assert [task["user_id"] for task in everything] == [ada.id] * 2
