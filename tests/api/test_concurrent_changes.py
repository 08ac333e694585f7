"""Clients that change one task at once: no change is lost, and none is made twice."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import httpx
import pytest

from tests.support.raw_http import connect
from tests.support.users import User

CLIENTS, APPENDING, APPENDS = 16, 8, 3

T = TypeVar("T")


def do_at_once(work: Callable[[int], T], number: int = CLIENTS) -> list[T]:
    """Call `work` in that many threads, which start together."""
    start = Barrier(number)

    def wait_and_work(which: int) -> T:
        start.wait(timeout=10)
        return work(which)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(wait_and_work, range(number)))


def test_one_of_many_changes_to_the_same_version_succeeds(ada: User, is_long: bool):
    path = f"/{ada.create_task()['id']}"
    for number in range(100 if is_long else 3):
        tag = {"If-Match": ada.get(path).headers["etag"]}

        def change(client: int) -> httpx.Response:
            return ada.request("PATCH", path, json={"title": f"{number}.{client}"}, headers=tag)  # noqa: B023

        responses = do_at_once(change)
        assert Counter(found.status_code for found in responses) == {200: 1, 412: CLIENTS - 1}
        [changed] = [response for response in responses if response.is_success]
        after = ada.get(path)
        assert (after.json(), after.headers["etag"]) == (changed.json(), changed.headers["etag"])


def append(user: User, path: str, word: str) -> None:
    """Read the task and change it, again until no other client was faster."""
    for _ in range(500):
        seen = user.get(path)
        words = (seen.json()["description"] or "") + word
        tag = {"If-Match": seen.headers["etag"]}
        if user.request("PATCH", path, json={"description": words}, headers=tag).status_code == 200:
            return
    raise AssertionError("other clients were always faster")


def test_no_append_of_concurrent_clients_is_lost(ada: User, is_long: bool):
    path, rounds = f"/{ada.create_task()['id']}", 5 * APPENDS if is_long else APPENDS

    def write(writer: int) -> None:
        for number in range(rounds):
            append(ada, path, f"{writer}.{number} ")

    do_at_once(write, APPENDING)
    written = ada.get(path).json()["description"].split()
    assert sorted(written) == sorted(f"{w}.{n}" for w in range(APPENDING) for n in range(rounds))


def test_either_the_change_or_the_deletion_of_one_version_succeeds(ada: User):
    for _ in range(10):
        path = f"/{ada.create_task()['id']}"
        tag = {"If-Match": ada.get(path).headers["etag"]}

        def send(which: int) -> int:
            options: dict[str, Any] = {"json": {"title": "Buy oats"}} if which == 0 else {}
            return ada.request(("PATCH", "DELETE")[which], path, headers=tag, **options).status_code  # noqa: B023

        statuses = do_at_once(send, 2)
        assert statuses in ([200, 412], [404, 204])
        assert ada.get(path).status_code == (200 if statuses[0] == 200 else 404)


def test_patches_of_different_fields_do_not_undo_each_other(ada: User):
    changes = [{"title": "Buy oats"}, {"description": "One bag"}, {"completed": True}]
    tasks = [ada.create_task() for _ in range(5)]
    work = [(f"/{task['id']}", change) for task in tasks for change in changes]
    statuses = do_at_once(lambda which: ada.patch(*work[which]).status_code, len(work))
    assert statuses == [200] * len(work)
    for task in ada.get().json():
        assert (task["title"], task["description"], task["completed"]) == ("Buy oats", "One bag", True)


def test_concurrent_toggles_are_all_made(ada: User):
    task = ada.create_task(completed=False)
    seen = Counter(do_at_once(lambda _: ada.complete(task["id"]).json()["completed"], 15))
    assert seen == {True: 8, False: 7}
    assert ada.get(f"/{task['id']}").json()["completed"] is True


@pytest.mark.parametrize("body", [None, {}])
def test_toggle_that_is_sent_again_with_the_same_tag_is_made_once(ada: User, body: object):
    path = f"/{ada.create_task(completed=False)['id']}"
    tag = {"If-Match": ada.get(path).headers["etag"]}
    content = b"" if body is None else json.dumps(body).encode()
    headers = ada.headers | tag | {"Content-Type": "application/json", "Content-Length": str(len(content))}
    send_without_reading(ada, f"PATCH {ada.tasks}{path}/complete HTTP/1.1", headers, content)
    retried = ada.request("PATCH", f"{path}/complete", content=content, headers=headers)
    assert retried.status_code in {200, 412}
    after = ada.get(path)
    assert after.json()["completed"] is True
    assert after.headers["etag"] != tag["If-Match"]


def send_without_reading(user: User, request_line: str, headers: dict[str, str], content: bytes) -> None:
    """Send the request, wait until the response begins, and close the connection."""
    fields = {"Host": "localhost"} | headers
    lines = [request_line, *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    with connect(str(user.http.base_url)) as connection:
        connection.sendall("\r\n".join(lines).encode() + content)
        connection.recv(1)
