"""Paging: following the Link of each page reads a whole list, whatever happens to it meanwhile."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Event
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from sqlalchemy import text

from tests.support.server import Server
from tests.support.users import User, sign_token

SORTS, ORDERS, STATUSES = ("created", "updated", "title"), ("asc", "desc"), ("all", "pending", "completed")
COLUMNS = {"created": "created_at", "updated": "updated_at", "title": "title"}
TIME = "2026-01-02 03:04:05.000006"  # as SQLite keeps it
URI = "[A-Za-z0-9._~:/?@!$&'()*+,;=%-]"  # what may stand in one (RFC 3986 2)


def next_url(page: httpx.Response) -> str | None:
    """What the Link of `page` points to, None on the last page."""
    link = page.headers.get("link")
    return re.fullmatch(rf'<(/{URI}+)>; rel="next"', link)[1] if link else None


def pages(person: User, **query: Any) -> Iterator[list[dict[str, Any]]]:
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


def chosen(tasks: list[dict[str, Any]], status: str) -> list[dict[str, Any]]:
    return [task for task in tasks if status == "all" or task["completed"] == (status == "completed")]


def all_of(person: User, **query: Any) -> list[dict[str, Any]]:
    return [task for page in pages(person, **query) for task in page]


def write(server: Server, statement: str, rows: list[dict[str, Any]]) -> None:
    """Put into the database what no client can: times."""
    with server.database() as connection:
        connection.execute(text(statement), rows)


@pytest.mark.parametrize(("sort", "order", "status"), [*product(SORTS, ORDERS, STATUSES)])
def test_pages_together_are_the_list(ada: User, sort: str, order: str, status: str):
    tasks = [ada.create_task(title, completed=title in "aeg") for title in "gcaebfd"]
    read = [*pages(ada, sort=sort, order=order, status=status, limit=2)]
    assert [task for page in read for task in page] == in_order(chosen(tasks, status), sort, order)
    assert all(len(page) == 2 for page in read[:-1])


@pytest.mark.parametrize(("sort", "order"), [*product(SORTS, ORDERS)])
def test_tasks_alike_in_title_and_times_are_ordered_by_id(
    ada: User, secret_server: Server, sort: str, order: str
):
    ids = [ada.create_task("the same")["id"] for _ in range(5)]
    write(
        secret_server,
        "UPDATE tasks SET created_at = :time, updated_at = :time WHERE user_id = :owner",
        [{"owner": ada.id, "time": TIME}],
    )
    read = [task["id"] for task in all_of(ada, sort=sort, order=order, limit=2)]
    assert read == (ids if order == "asc" else ids[::-1])


@pytest.mark.parametrize(("sort", "order"), [*product(SORTS, ORDERS)])
def test_changes_between_pages_neither_repeat_nor_lose_what_stayed(ada: User, sort: str, order: str):
    tasks = in_order([ada.create_task(title) for title in "jebgdahcif"], sort, order)
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
            ada.create_task("aa" if number % 2 else "zz")
    assert [task for task in read if task in stayed] == in_order(stayed, sort, order)


def keep_writing(person: User, done: Event) -> int:
    """Create, change, complete and delete until `done`. How many were created; a few of them are left."""
    number = 0
    while not done.is_set():
        task_id = person.create_task(f"of {person.id}")["id"]
        person.patch(f"/{task_id}", {"title": f"again of {person.id}"})
        person.complete(task_id)
        if len(tasks := person.get().json()) > 5:
            person.delete(f"/{tasks[-1]['id']}")
        number += 1
    return number


def test_pages_hold_own_tasks_only_while_another_writes(ada: User, bob: User):
    """Those of all lists, in one test, so that the other has started once."""
    tasks = [ada.create_task(title, completed=title in "ace") for title in "abcdef"]
    done = Event()
    with ThreadPoolExecutor() as threads:
        writing = threads.submit(keep_writing, bob, done)
        try:
            for sort, order, status, limit in product(SORTS, ORDERS, STATUSES, (1, 4, 1000)):
                read = all_of(ada, sort=sort, order=order, status=status, limit=limit)
                assert read == in_order(chosen(tasks, status), sort, order), (sort, order, status, limit)
        finally:
            done.set()
        assert writing.result() > 1


def test_page_holds_a_thousand_unless_told_otherwise(ada: User, secret_server: Server):
    ada.create_task()
    write(
        secret_server,
        "INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
        " VALUES (:owner, 'x', false, :time, :time)",
        [{"owner": ada.id, "time": TIME}] * 1000,
    )
    assert [len(page) for page in pages(ada)] == [1000, 1]


@pytest.mark.parametrize("limit", [2, 3])
def test_full_last_page_has_no_link(ada: User, limit: int):
    for title in "ab":
        ada.create_task(title)
    assert next_url(ada.get(limit=limit)) is None


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "1"},
        {"limit": "1", "status": "pending", "sort": "title", "order": "desc"},
        {"limit": "1", "sort": "updated"},
    ],
)
def test_link_is_relative_and_for_the_same_list(ada: User, asked: dict[str, str]):
    for title in "ab":
        ada.create_task(title)
    url = urlsplit(next_url(ada.get(**asked)))
    query = {name: value for name, [value] in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("", "", ada.tasks)
    assert {name: query[name] for name in asked} == asked
    assert query.get("order") == asked.get("order")


def test_limit_may_change_on_the_way(ada: User):
    tasks = [ada.create_task(title) for title in "abcde"]
    url = next_url(ada.get(limit=1, order="asc"))
    rest = ada.http.get(url.replace("limit=1&", "limit=3&"), headers=ada.headers)
    assert rest.json() == tasks[1:4]


@pytest.mark.parametrize("title", ["🥛" * 200, "\u0001" * 200, '"\\' * 100, "\u2028<>;,&?=%+#"])
def test_any_title_can_end_a_page(ada: User, title: str):
    tasks = [ada.create_task(title) for _ in range(3)]
    assert all_of(ada, sort="title", limit=1) == tasks


def test_user_id_of_any_form_can_be_followed(ada: User):
    user_id = f"{ada.id}.~@|:-_" + "|" * 100
    odd = User(ada.http, user_id, sign_token(user_id))
    odd.tasks = f"/api/{quote(user_id, safe='')}/tasks"
    tasks = [odd.create_task() for _ in range(3)]
    assert all_of(odd, order="asc", limit=1) == tasks
