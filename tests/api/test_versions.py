"""The member `version` and its ETag: only a change that changes something raises them."""

from typing import Any

import pytest

from tests.support.users import User

CHANGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "put": ("PUT", "", {"title": "Buy oats"}),
    "patch": ("PATCH", "", {"description": "One bag"}),
    "patch to null": ("PATCH", "", {"description": None}),
    "complete": ("PATCH", "/complete", {"completed": True}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_that_changes_nothing_keeps_version_tag_and_time(ada: User, name: str):
    method, path, body = CHANGES[name]
    task = ada.create_task(description="Two litres")
    url = f"/{task['id']}{path}"
    once, twice = (ada.request(method, url, json=body) for _ in range(2))
    assert once.json()["version"] == 2
    assert (twice.status_code, twice.content) == (200, once.content)
    assert once.headers["etag"] == twice.headers["etag"] == '"2"'


def test_stale_tag_is_412_even_if_the_change_would_change_nothing(ada: User):
    task = ada.create_task()
    changed = ada.patch(f"/{task['id']}", {"title": "Buy oats"}).json()
    again = ada.request("PATCH", f"/{task['id']}", json={"title": "Buy oats"}, headers={"If-Match": '"1"'})
    assert (again.status_code, again.json()["current"]) == (412, changed)


@pytest.mark.parametrize("tags", ['"1"', '"1", "9"'], ids=["one tag", "two tags"])
def test_412_carries_the_current_task_and_its_tag(ada: User, tags: str):
    task = ada.create_task()
    changed = ada.complete(task["id"])
    for method, path, body in [*CHANGES.values(), ("DELETE", "", None)]:
        response = ada.request(method, f"/{task['id']}{path}", json=body, headers={"If-Match": tags})
        assert response.status_code == 412
        assert response.json()["current"] == changed.json()
        assert response.headers["etag"] == changed.headers["etag"]
    assert ada.get(f"/{task['id']}").json() == changed.json()
