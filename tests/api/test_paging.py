"""Paging: following the Link of each page reads a whole list, whatever happens to it meanwhile."""

import base64
import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.people import Person, new_person, token
from tests.server import Server

SORTS, ORDERS, STATUSES = ("created", "updated", "title"), ("asc", "desc"), ("all", "pending", "completed")
COLUMNS = {"created": "created_at", "updated": "updated_at", "title": "title"}
TIME = "2026-01-02 03:04:05.000006"  # as SQLite keeps it
URI = "[A-Za-z0-9._~:/?@!$&'()*+,;=%-]"  # what may stand in one (RFC 3986 2)
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def next_url(page: httpx.Response) -> str | None:
    """What the Link of `page` points to, None on the last page."""
    link = page.headers.get("link")
    return re.fullmatch(rf'<(/{URI}+)>; rel="next"', link)[1] if link else None


def pages(person: Person, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """The tasks of each page, each asked for when the one before has been looked at."""
    page = person.get(**query)
    for _ in range(100):
        assert page.status_code == 200, page.text
        yield page.json()
        url = next_url(page)
        if url is None:
            return
        page = person.http.get(url, headers=person.headers)
    pytest.fail("the pages have no end")


def in_order(tasks: list[dict[str, Any]], sort: str, order: str) -> list[dict[str, Any]]:
    return sorted(tasks, key=lambda task: (task[COLUMNS[sort]], task["id"]), reverse=order == "desc")


def all_of(person: Person, **query: Any) -> list[dict[str, Any]]:
    return [task for page in pages(person, **query) for task in page]


def write(server: Server, statement: str, rows: list[dict[str, Any]]) -> None:
    """Put into the database what no client can: times."""
    url = make_url(server.settings["DATABASE_URL"])
    engine = create_engine(url.set(drivername=DRIVERS[url.get_backend_name()]))
    with engine.begin() as connection:
        connection.execute(text(statement), rows)
    engine.dispose()


@pytest.mark.parametrize(("sort", "order", "status"), [*product(SORTS, ORDERS, STATUSES)])
def test_pages_together_are_the_list(ada: Person, sort: str, order: str, status: str):
    tasks = [ada.has_task(title, completed=title in "aeg") for title in "gcaebfd"]
    chosen = [task for task in tasks if status == "all" or task["completed"] == (status == "completed")]
    read = [*pages(ada, sort=sort, order=order, status=status, limit=2)]
    assert [task for page in read for task in page] == in_order(chosen, sort, order)
    assert all(len(page) == 2 for page in read[:-1])


@pytest.mark.parametrize(("sort", "order"), [*product(SORTS, ORDERS)])
def test_tasks_alike_in_title_and_times_are_ordered_by_id(
    ada: Person, secret_server: Server, sort: str, order: str
):
    ids = [ada.has_task("the same")["id"] for _ in range(5)]
    write(
        secret_server,
        "UPDATE tasks SET created_at = :time, updated_at = :time WHERE user_id = :owner",
        [{"owner": ada.id, "time": TIME}],
    )
    read = [task["id"] for task in all_of(ada, sort=sort, order=order, limit=2)]
    assert read == (ids if order == "asc" else ids[::-1])


@pytest.mark.parametrize(("sort", "order"), [*product(SORTS, ORDERS)])
def test_changes_between_pages_neither_repeat_nor_lose_what_stayed(ada: Person, sort: str, order: str):
    tasks = in_order([ada.has_task(title) for title in "jebgdahcif"], sort, order)
    deleted, changed = tasks[1::4], tasks[2::4]
    stayed = tasks[0::4] + tasks[3::4]
    read = []
    for number, page in enumerate(pages(ada, sort=sort, order=order, limit=2)):
        read += page
        for task in deleted[number : number + 1]:  # the first is the one that the first page ended with
            ada.delete(f"/{task['id']}")
        for task in changed[number : number + 1]:
            ada.patch(f"/{task['id']}", {"title": f"{task['title']} changed", "completed": True})
        if number < 4:
            ada.has_task("aa" if number % 2 else "zz")
    assert [task for task in read if task in stayed] == in_order(stayed, sort, order)


def test_page_holds_a_thousand_unless_told_otherwise(ada: Person, secret_server: Server):
    ada.has_task()
    write(
        secret_server,
        "INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
        " VALUES (:owner, 'x', false, :time, :time)",
        [{"owner": ada.id, "time": TIME}] * 1000,
    )
    assert [len(page) for page in pages(ada)] == [1000, 1]


@pytest.mark.parametrize("limit", [2, 3])
def test_full_last_page_has_no_link(ada: Person, limit: int):
    for title in "ab":
        ada.has_task(title)
    assert next_url(ada.get(limit=limit)) is None


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "1"},
        {"limit": "1", "status": "pending", "sort": "title", "order": "desc"},
        {"limit": "1", "sort": "updated"},
    ],
)
def test_link_is_relative_and_for_the_same_list(ada: Person, asked: dict[str, str]):
    for title in "ab":
        ada.has_task(title)
    url = urlsplit(next_url(ada.get(**asked)))
    query = {name: value for name, [value] in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("", "", ada.tasks)
    assert {name: query[name] for name in asked} == asked
    assert query.get("order") == asked.get("order")


def test_limit_may_change_on_the_way(ada: Person):
    tasks = [ada.has_task(title) for title in "abcde"]
    url = next_url(ada.get(limit=1, order="asc"))
    rest = ada.http.get(url.replace("limit=1&", "limit=3&"), headers=ada.headers)
    assert rest.json() == tasks[1:4]


@pytest.mark.parametrize("title", ["🥛" * 200, "\u0001" * 200, '"\\' * 100, "\u2028<>;,&?=%+#"])
def test_any_title_can_end_a_page(ada: Person, title: str):
    tasks = [ada.has_task(title) for _ in range(3)]
    assert all_of(ada, sort="title", limit=1) == tasks


def test_user_id_of_any_form_can_be_followed(ada: Person):
    user_id = f"{ada.id}.~@|:-_" + "|" * 100
    odd = Person(ada.http, user_id, token(user_id))
    odd.tasks = f"/api/{quote(user_id, safe='')}/tasks"
    tasks = [odd.has_task() for _ in range(3)]
    assert all_of(odd, order="asc", limit=1) == tasks


# Cursors. They are opaque: that they are JSON in base64 is known here only to forge them.


def cursor_of(person: Person, **query: Any) -> str:
    """The cursor of the second page of a list."""
    for title in "ab":
        person.has_task(title)
    return parse_qs(urlsplit(next_url(person.get(limit=1, **query))).query)["cursor"][0]


def packed(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode("latin-1")).rstrip(b"=").decode()


def unpacked(cursor: str) -> list[Any]:
    return json.loads(base64.urlsafe_b64decode(cursor + "=="))


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [{"in": "query", "pointer": "/cursor", "keyword": "cursor"}]


def test_cursor_of_another_user_is_400(ada: Person, bob: Person):
    assert_refused(ada.get(cursor=cursor_of(bob)))


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
def test_cursor_of_another_list_is_400(ada: Person, of: dict, used_for: dict):
    assert_refused(ada.get(cursor=cursor_of(ada, **of), **used_for))


NO_POSITIONS = [
    "", "null", "1", '"abc"', "nonsense", "{}", "[]", "[1,2]", "[1,2,", "[1,2,3,4]", "[1,1,1]", '["",1,""]',
    "[[],[],[]]", "[{},{},{}]", "[NaN,1,1]", '{"a":1,"b":2,"c":3}', "[" * 1500, '["\xff",1,""]',
]  # fmt: skip


@pytest.mark.parametrize(
    "cursor", ["a", "AAAA", "null", "-_-_", *map(packed, NO_POSITIONS)], ids=lambda cursor: cursor[:12]
)
def test_garbage_for_a_cursor_is_400(ada: Person, cursor: str):
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
def test_forged_cursor_of_the_right_list_is_400(ada: Person, sort: str, value: str, task_id: str):
    digest = json.dumps(unpacked(cursor_of(ada, sort=sort))[2])
    assert_refused(ada.get(sort=sort, cursor=packed(f"[{value}, {task_id}, {digest}]")))


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_cursor_at_the_ends_of_time_gives_a_list(ada: Person, year: int):
    """Nobody was given one, but nothing may break."""
    _, task_id, digest = unpacked(cursor_of(ada, sort="updated"))
    microseconds = {1: -62_135_596_800_000_000, 1970: 0, 9999: 253_402_300_799_999_999}[year]
    forged = packed(json.dumps([microseconds, task_id, digest]))
    assert len(ada.get(sort="updated", cursor=forged).json()) == (2 if year == 9999 else 0)


def test_forged_cursor_shows_nothing_of_anyone_else(ada: Person, http: httpx.Client):
    before, after = new_person(http, "before"), new_person(http, "zz-after")
    for person in (before, after):
        person.has_task("b")
    _, _, digest = unpacked(cursor_of(ada, sort="title"))
    everything = ada.get(sort="title", cursor=packed(json.dumps(["", 1, digest]))).json()
    assert [task["user_id"] for task in everything] == [ada.id] * 2
