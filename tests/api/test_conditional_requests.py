"""If-Match and If-None-Match (RFC 9110 13): no change overwrites another, no unchanged task is sent again.

tests/unit has the tables of entity tags: malformed, weak, and of several versions.
"""

from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import MISSING, User


class Change(NamedTuple):
    """An operation that takes If-Match."""

    method: str
    path: str
    body: Any

    def send(self, user: User, task_id: int, *tags: str) -> httpx.Response:
        """Send the change with an If-Match header for each of `tags`."""
        fields = [("If-Match", tag) for tag in tags]
        path = f"{user.tasks}/{task_id}{self.path}"
        return user.http.request(self.method, path, json=self.body, headers=[*user.headers.items(), *fields])


PATCH = Change("PATCH", "", {"title": "Buy oats"})
CHANGES = {
    "put": Change("PUT", "", {"title": "Buy oats"}),
    "patch": PATCH,
    "complete": Change("PATCH", "/complete", {"completed": True}),
    "delete": Change("DELETE", "", None),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def get(user: User, task_id: int, none_match: str, method: str = "GET") -> httpx.Response:
    return user.request(method, f"/{task_id}", headers={"If-None-Match": none_match})


def create_changed_task(user: User) -> tuple[int, str, str]:
    """Return the id of a task, its entity tag, and a stale one."""
    created = user.post({"title": "Buy milk"})
    task_id = created.json()["id"]
    changed = user.patch(f"/{task_id}", {"description": "Two litres"})
    return task_id, changed.headers["etag"], created.headers["etag"]


def check_violation(response: httpx.Response, header: str) -> None:
    """Fail unless the response is 400 for that header and nothing else."""
    assert response.status_code == 400
    violations = {(found["in"], found["pointer"]) for found in response.json()["errors"]}
    assert violations == {("header", f"/{header}")}


def test_every_change_returns_the_tag_that_get_returns_and_no_tag_twice(ada: User):
    created = ada.post({"title": "Buy milk"})
    path = f"/{created.json()['id']}"
    seen = [created.headers["etag"]]
    assert ada.get(path).headers["etag"] == seen[0]
    for number, name in enumerate(("put", "patch", "complete") * 2):
        change = CHANGES[name]
        body = {"completed": number < 3} if name == "complete" else {"title": f"Buy {number} oats"}
        seen.append(ada.request(change.method, path + change.path, json=body).headers["etag"])
        assert seen[-1] == ada.get(path).headers["etag"]
    assert len(set(seen)) == len(seen)


def test_tag_stays_until_the_task_changes(ada: User):
    task_id, current, stale = create_changed_task(ada)
    ada.get()
    ada.create_task("Buy bread")
    ada.patch(f"/{task_id}", {"title": ""})
    PATCH.send(ada, task_id, stale)
    assert ada.get(f"/{task_id}").headers["etag"] == current


@every_change
def test_change_with_the_current_tag_succeeds(ada: User, change: Change):
    task_id, current, stale = create_changed_task(ada)
    assert change.send(ada, task_id, stale, current).is_success  # several lines are one list
    assert ada.get(f"/{task_id}").headers.get("etag") != current


@every_change
@pytest.mark.parametrize("tags", [(), ("*",)], ids=["without If-Match", "any"])
def test_change_of_any_version_succeeds(ada: User, change: Change, tags: tuple[str, ...]):
    assert change.send(ada, create_changed_task(ada)[0], *tags).is_success


@every_change
def test_change_with_a_stale_tag_is_412_and_changes_nothing(ada: User, change: Change):
    task_id, current, stale = create_changed_task(ada)
    before = ada.get(f"/{task_id}")
    number = current.strip('"')
    for tags in (
        stale,
        f"W/{current}",
        f'{stale}, "9"',
        f'"0{number}"',
        f'"1{number}"',
        f'"{number}1"',
        '"%"',
    ):
        response = change.send(ada, task_id, tags)
        assert (response.status_code, response.json()["type"]) == (412, "urn:todo:problem:stale-version")
    after = ada.get(f"/{task_id}")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


@on_sqlite
@every_change
def test_malformed_if_match_is_400_before_the_task_is_read(ada: User, change: Change):
    task_id, current, _ = create_changed_task(ada)
    for tags in (("1",), ('"1"', "*")):
        check_violation(change.send(ada, task_id, *tags), "If-Match")
        check_violation(change.send(ada, MISSING, *tags), "If-Match")
    assert ada.get(f"/{task_id}").headers["etag"] == current


@every_change
def test_missing_task_and_another_users_are_404_whatever_the_tag(ada: User, bob: User, change: Change):
    task = bob.create_task()
    for tags in ("*", '"1"', 'W/"1"', '"abc"'):
        assert change.send(ada, MISSING, tags).status_code == 404
        assert change.send(ada, task["id"], tags).status_code == 404
    assert bob.get(f"/{task['id']}").json() == task


@on_sqlite
def test_invalid_body_is_400_even_with_a_stale_tag(ada: User):
    task_id, _, stale = create_changed_task(ada)
    for method in ("PUT", "PATCH"):
        headers = {"If-Match": stale}
        response = ada.request(method, f"/{task_id}", json={"title": ""}, headers=headers)
        assert response.status_code == 400


def test_get_of_the_version_that_the_client_has_is_304(ada: User):
    task_id, current, _ = create_changed_task(ada)
    for tags in ("{}", "W/{}", "*", '"abc", {}'):
        for method in ("GET", "HEAD"):
            response = get(ada, task_id, tags.format(current), method)
            seen = response.status_code, response.content, response.headers["etag"]
            assert seen == (304, b"", current), tags


def test_get_of_another_version_is_200(ada: User):
    task_id, current, stale = create_changed_task(ada)
    whole = ada.get(f"/{task_id}").content
    for method in ("GET", "HEAD"):
        response = get(ada, task_id, f'{stale}, "99"', method)
        seen = response.status_code, response.content, response.headers["etag"]
        assert seen == (200, whole if method == "GET" else b"", current)


@on_sqlite
def test_malformed_if_none_match_is_400(ada: User):
    for task_id in (ada.create_task()["id"], MISSING):
        check_violation(get(ada, task_id, "1"), "If-None-Match")


def test_get_of_a_deleted_task_and_of_another_users_is_404_whatever_the_tag(ada: User, bob: User):
    task_id, current, _ = create_changed_task(ada)
    ada.delete(f"/{task_id}")
    missing = [task_id, bob.create_task()["id"], MISSING]
    assert {get(ada, each, tags).status_code for each in missing for tags in (current, "*", '"1"')} == {404}
