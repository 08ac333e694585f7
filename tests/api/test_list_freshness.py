"""The ETag of a list: 304 while its page is the same, another tag as soon as the page differs."""

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import text

from tests.support.server import Server
from tests.support.users import User


def poll(user: User, tag: str, query: str = "") -> httpx.Response:
    return user.request("GET", query, headers={"If-None-Match": tag})


def test_unchanged_page_is_304_with_the_headers_of_the_page(ada: User):
    for _ in range(3):
        ada.create_task()
    for query in ("", "?limit=2", "?status=completed"):
        page = ada.request("GET", query)
        tag = page.headers["etag"]
        assert tag.startswith('W/"')
        for tags in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            unchanged = poll(ada, tags, query)
            assert (unchanged.status_code, unchanged.content) == (304, b"")
            for name in ("etag", "cache-control", "vary", "link"):
                assert unchanged.headers.get(name) == page.headers.get(name)
        assert poll(ada, '"other"', query).status_code == 200
        assert ada.request("HEAD", query).headers["etag"] == tag


CHANGES: dict[str, Callable[[User, int], object]] = {
    "a change": lambda ada, task_id: ada.complete(task_id),
    "a new task": lambda ada, _: ada.create_task(),
    "a deletion": lambda ada, task_id: ada.delete(f"/{task_id}"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_page_has_another_tag(ada: User, name: str):
    task_id = ada.create_task()["id"]
    tag = ada.get().headers["etag"]
    CHANGES[name](ada, task_id)
    changed = poll(ada, tag)
    assert (changed.status_code, changed.json()) == (200, ada.get().json())
    assert changed.headers["etag"] != tag


def test_tag_changes_with_the_link_and_with_the_order(ada: User):
    for title in ("a", "b"):
        ada.create_task(title)
    tags = [ada.request("GET", query).headers["etag"] for query in ("?limit=2", "?limit=2&order=asc")]
    ada.create_task("0")  # the last of the titles from Z to A: the first two stay, and get a next page
    before = ada.request("GET", "?sort=title&order=desc&limit=3")
    with_link = ada.request("GET", "?sort=title&order=desc&limit=2")
    assert "link" in with_link.headers
    assert len({*tags, before.headers["etag"], with_link.headers["etag"]}) == 4


def test_tag_differs_after_a_backup_is_restored(secret_server: Server, ada: User):
    """A restored backup repeats versions, but not the time of a later change."""
    task_id = ada.create_task()["id"]
    tag = ada.get().headers["etag"]
    with secret_server.database() as database:
        earlier = "UPDATE tasks SET updated_at = created_at, created_at = created_at WHERE id = :id"
        database.execute(text(earlier), {"id": task_id})
    assert ada.get().headers["etag"] == tag
    ada.complete(task_id)
    changed = ada.get().headers["etag"]
    with secret_server.database() as database:
        database.execute(text("UPDATE tasks SET version = 1 WHERE id = :id"), {"id": task_id})
    assert ada.get().headers["etag"] not in {tag, changed}
