"""Cursors that a user did not get from the API: they list the user's own tasks, or they are 400.

tests/unit/test_cursors.py has the forgeries that are rejected. Only the tests know that a cursor holds JSON.
"""

import base64
import json
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import User, new_user

LISTS = [
    {"sort": sort, "order": order, "status": status}
    for sort, order, status in product(("created", "updated", "title"), ("asc", "desc"), ("all", "pending"))
]


def next_link(user: User, **query: Any) -> str:
    """Return the URL of the second page of a list of two tasks."""
    for title in "ab":
        user.create_task(title)
    return str(user.get(limit=1, **query).links["next"]["url"])


def cursor_in(link: str) -> str:
    return parse_qs(urlsplit(link).query)["cursor"][0]


def pack(content: Any) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpack(cursor: str) -> list[Any]:
    return list(json.loads(base64.urlsafe_b64decode(cursor + "==")))


@on_sqlite
def test_next_page_of_another_user_is_rejected(ada: User, bob: User):
    for query in LISTS:
        link = next_link(bob, **query)
        assert ada.http.get(link, headers=ada.headers).status_code == 403
        response = ada.get(cursor=cursor_in(link), **query)
        assert response.status_code == 400
        [error] = response.json()["errors"]
        assert (error["in"], error["pointer"], error["keyword"]) == ("query", "/cursor", "cursor")


@pytest.mark.parametrize("sort", ["created", "title"])
def test_altered_position_lists_own_tasks_alone(ada: User, bob: User, sort: str):
    cursor = cursor_in(next_link(ada, sort=sort))
    next_link(bob, sort=sort)
    raw = base64.urlsafe_b64decode(cursor + "==")
    own, statuses = ada.get().json(), set()
    for at, bit in product(
        range(raw.rindex(b",")), (0, 4, 5)
    ):  # digits to digits, to signs, letters to capitals
        response = ada.get(sort=sort, cursor=pack(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]))
        statuses.add(response.status_code)
        assert response.status_code == 400 or all(task in own for task in response.json())
        assert bob.id not in f"{response.headers} {response.text}"
    assert statuses == {200, 400}


def test_position_before_every_task_lists_own_tasks_alone(ada: User, http: httpx.Client):
    for other in (new_user(http, "before"), new_user(http, "zz-after")):
        other.create_task("b")
    _, _, digest = unpack(cursor_in(next_link(ada, sort="title")))
    tasks = ada.get(sort="title", cursor=pack(["", 1, digest])).json()
    assert [task["user_id"] for task in tasks] == [ada.id] * 2


@pytest.mark.parametrize(("year", "count"), [(1, 0), (1970, 0), (9999, 2)])
def test_position_at_the_limits_of_time_is_a_list(ada: User, year: int, count: int):
    _, task_id, digest = unpack(cursor_in(next_link(ada, sort="updated")))
    microseconds = {1: -62_135_596_800_000_000, 1970: 0, 9999: 253_402_300_799_999_999}[year]
    response = ada.get(sort="updated", cursor=pack([microseconds, task_id, digest]))
    assert (response.status_code, len(response.json())) == (200, count)
