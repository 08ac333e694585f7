"""Paging: the pages, read by their Link headers, are the whole list, whatever happens to it meanwhile."""

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
from tests.support.users import User, new_user, sign_token

SORTS, ORDERS, STATUSES = ("created", "updated", "title"), ("asc", "desc"), ("all", "pending", "completed")
COLUMNS = {"created": "created_at", "updated": "updated_at", "title": "title"}
TIME = "2026-01-02 03:04:05.000006"  # as SQLite stores it
URI = "[A-Za-z0-9._~:/?@!$&'()*+,;=%-]"  # the characters of a URI (RFC 3986 2)
TITLES = ["🥛" * 200, "\u0001" * 200, '"\\' * 100, "\u2028<>;,&?=%+#"]


def next_url(page: httpx.Response) -> str | None:
    """Return the URL in the Link header of `page`, None on the last page."""
    link = page.headers.get("link")
    return re.fullmatch(rf'<(/{URI}+)>; rel="next"', link)[1] if link else None


def pages(user: User, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the tasks of each page; the next one is requested when this one has been used."""
    page = user.get(**query)
    for _ in range(100):
        assert page.status_code == 200, page.text
        yield page.json()
        url = next_url(page)
        if url is None:
            return
        page = user.http.get(url, headers=user.headers)
    pytest.fail("the pages have no end")


def read_all(user: User, **query: Any) -> list[dict[str, Any]]:
    return [task for page in pages(user, **query) for task in page]


def expected(tasks: list[dict[str, Any]], sort: str, order: str, status: str = "all") -> list[dict[str, Any]]:
    """Return the list that the server should return."""
    selected = [task for task in tasks if status == "all" or task["completed"] == (status == "completed")]
    return sorted(selected, key=lambda task: (task[COLUMNS[sort]], task["id"]), reverse=order == "desc")


def execute(server: Server, statement: str, rows: list[dict[str, Any]]) -> None:
    """Write to the database directly: clients cannot set times."""
    with server.database() as database:
        database.execute(text(statement), rows)


def test_pages_together_are_the_list(ada: User):
    tasks = [ada.create_task(title, completed=title in "aeg") for title in "gcaebfd"]
    for sort, order, status in product(SORTS, ORDERS, STATUSES):
        read = [*pages(ada, sort=sort, order=order, status=status, limit=2)]
        assert [task for page in read for task in page] == expected(tasks, sort, order, status)
        assert all(len(page) == 2 for page in read[:-1])


def test_tasks_of_the_same_title_and_time_are_ordered_by_id(ada: User, secret_server: Server):
    ids = [ada.create_task("the same")["id"] for _ in range(5)]
    execute(
        secret_server,
        "UPDATE tasks SET created_at = :time, updated_at = :time WHERE user_id = :owner",
        [{"owner": ada.id, "time": TIME}],
    )
    for sort, order in product(SORTS, ORDERS):
        read = [task["id"] for task in read_all(ada, sort=sort, order=order, limit=2)]
        assert read == (ids if order == "asc" else ids[::-1])


def test_changes_between_pages_neither_repeat_nor_hide_unchanged_tasks(http: httpx.Client):
    for sort, order in product(SORTS, ORDERS):
        ada = new_user(http)
        tasks = expected([ada.create_task(title) for title in "jebgdahcif"], sort, order)
        deleted, changed = tasks[1::4], tasks[2::4]
        stayed = tasks[0::4] + tasks[3::4]
        read = []
        for number, page in enumerate(pages(ada, sort=sort, order=order, limit=2)):
            read += page
            for task in deleted[number : number + 1]:  # first the task that the first page ended with
                ada.delete(f"/{task['id']}")
            for task in changed[number : number + 1]:
                ada.patch(f"/{task['id']}", {"title": f"{task['title']} changed", "completed": True})
            if number < 4:
                ada.create_task("aa" if number % 2 else "zz")
        assert [task for task in read if task in stayed] == expected(stayed, sort, order)


def keep_writing(user: User, done: Event) -> int:
    """Create, change, complete and delete tasks until `done`. Return how many were created."""
    number = 0
    while not done.is_set():
        task_id = user.create_task(f"of {user.id}")["id"]
        user.patch(f"/{task_id}", {"title": f"again of {user.id}"})
        user.complete(task_id)
        if len(tasks := user.get().json()) > 5:
            user.delete(f"/{tasks[-1]['id']}")
        number += 1
    return number


def test_pages_have_only_the_users_own_tasks_while_another_user_writes(ada: User, bob: User):
    tasks = [ada.create_task(title, completed=title in "ace") for title in "abcdef"]
    done = Event()
    with ThreadPoolExecutor() as threads:
        writing = threads.submit(keep_writing, bob, done)
        try:
            for sort, order, status, limit in product(SORTS, ORDERS, STATUSES, (4, 1000)):
                read = read_all(ada, sort=sort, order=order, status=status, limit=limit)
                assert read == expected(tasks, sort, order, status), (sort, order, status, limit)
        finally:
            done.set()
        assert writing.result() > 1


def test_page_has_a_thousand_tasks_unless_limit_is_given(ada: User, secret_server: Server):
    ada.create_task()
    doubling = (
        "INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
        " SELECT user_id, title, completed, created_at, updated_at FROM tasks WHERE user_id = :owner"
    )
    execute(secret_server, doubling, [{"owner": ada.id}] * 10)
    assert [len(page) for page in pages(ada)] == [1000, 24]


def test_full_last_page_has_no_link(ada: User):
    for title in "ab":
        ada.create_task(title)
    assert [next_url(ada.get(limit=limit)) for limit in (2, 3)] == [None, None]


def test_link_is_relative_and_to_the_same_list(ada: User):
    for title in "ab":
        ada.create_task(title)
    for chosen in ({}, {"status": "pending", "sort": "title", "order": "desc"}, {"sort": "updated"}):
        url = urlsplit(next_url(ada.get(limit=1, **chosen)))
        query = {name: value for name, [value] in parse_qs(url.query).items()}
        assert (url.scheme, url.netloc, url.path) == ("", "", ada.tasks)
        assert query.items() >= {"limit": "1", **chosen}.items()
        assert query.get("order") == chosen.get("order")


def test_limit_may_change_from_page_to_page(ada: User):
    tasks = [ada.create_task(title) for title in "abcde"]
    url = next_url(ada.get(limit=1, order="asc"))
    rest = ada.http.get(url.replace("limit=1&", "limit=3&"), headers=ada.headers)
    assert rest.json() == tasks[1:4]


def test_page_may_end_with_any_title(http: httpx.Client):
    for title in TITLES:
        ada = new_user(http)
        tasks = [ada.create_task(title) for _ in range(3)]
        assert read_all(ada, sort="title", limit=1) == tasks


def test_link_has_the_user_id_percent_encoded(ada: User):
    user_id = f"{ada.id}.~@|:-_" + "|" * 100
    odd = User(ada.http, user_id, sign_token(user_id))
    odd.tasks = f"/api/{quote(user_id, safe='')}/tasks"
    tasks = [odd.create_task() for _ in range(3)]
    assert read_all(odd, order="asc", limit=1) == tasks
