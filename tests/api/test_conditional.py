"""If-Match and If-None-Match: nothing is overwritten unseen, nothing sent that one has (RFC 9110 13)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.users import MISSING, User

Send = Callable[..., httpx.Response]

CHANGES: dict[str, tuple[str, str, Any]] = {
    "put": ("PUT", "", {"title": "Buy oats"}),
    "patch": ("PATCH", "", {"title": "Buy oats"}),
    "complete": ("PATCH", "/complete", {"completed": True}),
    "delete": ("DELETE", "", None),
}
MALFORMED = {
    "no quotes": "1",
    "an open quote": '"1',
    "any and one": '*, "1"',
    "nothing": "",
    "a comma": ",",
    "a space": '"1" "2"',
    "small w": 'w/"1"',
    "a space in the tag": '"1 2"',
    "too long": ", ".join(['"1"'] * 206),
    "non-ASCII": '"é"'.encode("latin-1"),
    "UTF-8": '"é"'.encode(),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Send:
    """Each operation that takes If-Match: `change(ada, 7, '"1"')`."""
    method, suffix, body = CHANGES[request.param]

    def send(person: User, task_id: int, *tags: str | bytes) -> httpx.Response:
        lines = [(b"If-Match", tag.encode() if isinstance(tag, str) else tag) for tag in tags]
        mine = [(name.encode(), value.encode()) for name, value in person.headers.items()]
        path = f"{person.tasks}/{task_id}{suffix}"
        return person.http.request(method, path, json=body, headers=[*mine, *lines])

    return send


def get(person: User, task_id: int, none_match: str | bytes, method: str = "GET") -> httpx.Response:
    return person.request(method, f"/{task_id}", headers={"If-None-Match": none_match})  # type: ignore[dict-item]


def changed_task(person: User) -> tuple[int, str, str]:
    """The id of a task, its tag, and a tag that it had before."""
    task_id = person.create_task()["id"]
    before = person.get(f"/{task_id}").headers["etag"]
    return task_id, person.patch(f"/{task_id}", {"description": "Two litres"}).headers["etag"], before


def has_refused(answer: httpx.Response, header: str) -> bool:
    """Whether it is 400, for that header and nothing else."""
    faults = answer.json().get("errors", []) if answer.status_code == 400 else []
    return {(fault["in"], fault["pointer"]) for fault in faults} == {("header", f"/{header}")}


def test_new_task_has_the_tag_that_reading_it_gives(ada: User):
    created = ada.post({"title": "Buy milk"})
    assert created.headers["etag"] == ada.get(f"/{created.json()['id']}").headers["etag"]


@pytest.mark.parametrize("operation", ["put", "patch", "complete"])
def test_every_change_gives_the_tag_that_reading_gives_and_no_tag_twice(ada: User, operation: str):
    method, suffix, body = CHANGES[operation]
    path = f"/{ada.create_task()['id']}"
    seen = [ada.get(path).headers["etag"]]
    for _ in range(3):
        seen.append(ada.request(method, path + suffix, json=body).headers["etag"])
        assert seen[-1] == ada.get(path).headers["etag"]
    assert len(set(seen)) == 4


def test_tag_stays_while_nothing_changes(ada: User):
    task_id, tag, before = changed_task(ada)
    ada.get()
    ada.create_task("Buy bread")
    ada.patch(f"/{task_id}", {"title": ""})
    ada.request("PATCH", f"/{task_id}", json={"title": "Buy oats"}, headers={"If-Match": before})
    assert ada.get(f"/{task_id}").headers["etag"] == tag


@pytest.mark.parametrize(
    "tags",
    ["{current}", "{stale}, {current}", 'W/"9" ,\t{current}', '"a,b", {current}', ', "9",, {current} ,', "*"],
)
def test_change_to_the_version_one_has_is_done(ada: User, change: Send, tags: str):
    task_id, current, stale = changed_task(ada)
    assert change(ada, task_id, tags.format(current=current, stale=stale)).is_success
    assert ada.get(f"/{task_id}").headers.get("etag") != current


def test_several_lines_of_if_match_are_one_list(ada: User, change: Send):
    task_id, current, stale = changed_task(ada)
    assert change(ada, task_id, stale, '"9"').status_code == 412
    assert change(ada, task_id, stale, current).is_success


def test_change_without_if_match_is_done(ada: User, change: Send):
    assert change(ada, changed_task(ada)[0]).is_success


@pytest.mark.parametrize(
    "tags",
    [
        "{stale}",
        "W/{current}",
        '"abc"',
        '""',
        '"99"',
        "{stale}, W/{current}",
        '"0{bare}"',
        '"{bare}.0"',
        '"*"',
    ],
)
def test_change_to_another_version_is_412_and_changes_nothing(ada: User, change: Send, tags: str):
    task_id, current, stale = changed_task(ada)
    before = ada.get(f"/{task_id}")
    answer = change(ada, task_id, tags.format(current=current, stale=stale, bare=current.strip('"')))
    assert (answer.status_code, answer.json()["type"]) == (412, "urn:todo:problem:stale-version")
    after = ada.get(f"/{task_id}")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


@pytest.mark.parametrize("tags", MALFORMED.values(), ids=MALFORMED)
def test_malformed_if_match_is_400_and_changes_nothing(ada: User, change: Send, tags: str | bytes):
    task_id, current, _ = changed_task(ada)
    assert has_refused(change(ada, task_id, tags), "If-Match")
    assert ada.get(f"/{task_id}").headers["etag"] == current


def test_any_line_of_if_match_may_break_the_list(ada: User, change: Send):
    task_id, current, _ = changed_task(ada)
    assert has_refused(change(ada, task_id, current, "*"), "If-Match")
    assert ada.get(f"/{task_id}").headers["etag"] == current


@pytest.mark.parametrize("tags", ["*", '"1"', 'W/"1"', '"abc"'])
def test_missing_task_and_anothers_are_404_whatever_the_tag(ada: User, bob: User, change: Send, tags: str):
    task = bob.create_task()
    assert change(ada, MISSING, tags).status_code == 404
    assert change(ada, task["id"], tags).status_code == 404
    assert bob.get(f"/{task['id']}").json() == task


def test_malformed_if_match_comes_before_the_missing_task(ada: User, change: Send):
    assert has_refused(change(ada, MISSING, "1"), "If-Match")


def test_faults_of_header_and_body_are_told_together(ada: User):
    answer = ada.request("PUT", f"/{MISSING}", json={}, headers={"If-Match": "1"})
    assert answer.status_code == 400
    assert {fault["pointer"] for fault in answer.json()["errors"]} >= {"/If-Match"}
    assert {fault["in"] for fault in answer.json()["errors"]} == {"header", "body"}


@pytest.mark.parametrize("operation", ["put", "patch"])
def test_invalid_body_comes_before_the_stale_tag(ada: User, operation: str):
    task_id, _, stale = changed_task(ada)
    method, suffix, _ = CHANGES[operation]
    answer = ada.request(method, f"/{task_id}{suffix}", json={"title": ""}, headers={"If-Match": stale})
    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", ["{}", "W/{}", "*", '"abc", {}', 'W/"9",W/{}'])
def test_reading_what_one_has_is_304(ada: User, tags: str, method: str):
    task_id, current, _ = changed_task(ada)
    answer = get(ada, task_id, tags.format(current), method)
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", current)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in answer.headers["vary"]
    assert "x-request-id" in answer.headers
    assert not {"content-type", "content-length", "transfer-encoding", "location"} & {*answer.headers}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", ["{stale}", '"abc"', '""', "W/{stale}", '{stale}, "99"'])
def test_reading_what_has_changed_is_200(ada: User, tags: str, method: str):
    task_id, current, stale = changed_task(ada)
    answer = get(ada, task_id, tags.format(stale=stale), method)
    assert (answer.status_code, answer.headers["etag"]) == (200, current)
    assert answer.content == (b"" if method == "HEAD" else ada.get(f"/{task_id}").content)


@pytest.mark.parametrize("tags", MALFORMED.values(), ids=MALFORMED)
def test_malformed_if_none_match_is_400(ada: User, tags: str | bytes):
    assert has_refused(get(ada, ada.create_task()["id"], tags), "If-None-Match")
    assert has_refused(get(ada, MISSING, tags), "If-None-Match")


def test_deleted_task_and_anothers_are_404_whatever_one_has(ada: User, bob: User):
    task_id, tag, _ = changed_task(ada)
    ada.delete(f"/{task_id}")
    missing = [task_id, bob.create_task()["id"], MISSING]
    assert {get(ada, each, tags).status_code for each in missing for tags in (tag, "*", '"1"')} == {404}


@pytest.mark.parametrize("value", ["*", '"abc"', "malformed"])
def test_conditions_where_the_contract_has_none_are_ignored(ada: User, value: str):
    path = f"/{ada.create_task()['id']}"
    both = {"If-Match": value, "If-None-Match": value}
    assert ada.request("POST", json={"title": "Buy oats"}, headers=both).status_code == 201
    assert ada.request("GET", headers=both).status_code == 200
    assert ada.request("GET", path, headers={"If-Match": value}).status_code == 200
    for method, suffix, body in CHANGES.values():
        answer = ada.request(method, path + suffix, json=body, headers={"If-None-Match": value})
        assert answer.is_success


def test_anothers_path_is_403_before_any_look_at_the_tag(ada: User, bob: User):
    task = bob.create_task()
    for value in ("*", "malformed"):
        answer = ada.http.delete(f"{bob.tasks}/{task['id']}", headers=ada.headers | {"If-Match": value})
        assert answer.status_code == 403
    assert bob.get(f"/{task['id']}").json() == task
