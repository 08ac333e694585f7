"""Idempotency-Key: one task however often a request is sent, and the first response every time."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import User, new_user

CLIENTS = 16
MILK = {"title": "Buy milk", "description": "Two litres"}
JSON = {"Content-Type": "application/json"}
SAME_BODY = {
    "another order": b'{"description":"Two litres","title":"Buy milk"}',
    "white space": b' {\n\t"title" : "Buy milk" ,\r\n "description":"Two litres" } ',
    "escapes": b'{"title":"\\u0042uy milk","description":"Two\\u0020litres"}',
}
OTHER_BODIES = [
    {"title": "Buy oats"},
    {"title": "Buy milk"},
    MILK | {"completed": True},
    MILK | {"colour": "white"},
]
KEYS = ["1", "~" * 255, "!", "%41", "\"',;\\", "k" * 255, "k" * 254, "key", "KEY", "Key", "key-", "ke"]
NOT_KEYS = ["k" * 256, "k" * 5000, "", "a key", "a\tkey", "clé".encode("latin-1"), "clé".encode(), "a, b"]


def post(user: User, key: str | bytes, body: Any = MILK, **options: Any) -> httpx.Response:
    options = options or {"json": body}
    headers = {"Idempotency-Key": key} | options.pop("headers", {})
    return user.request("POST", headers=headers, **options)


def is_same(response: httpx.Response, first: httpx.Response) -> bool:
    """Return whether it is the first response again, byte for byte."""
    headers = ("location", "etag", "content-type", "cache-control", "vary")
    return (response.status_code, response.content) == (first.status_code, first.content) and all(
        response.headers[name] == first.headers[name] for name in headers
    )


def send_at_once(send: Callable[[int], httpx.Response], number: int = CLIENTS) -> list[httpx.Response]:
    """Send that many requests at once, without those that are 409 after the 2 s that a request may wait."""
    start = Barrier(number)

    def send_timed(which: int) -> tuple[httpx.Response, float]:
        start.wait(timeout=10)
        began = time.monotonic()
        return send(which), time.monotonic() - began

    with ThreadPoolExecutor(number) as threads:
        responses = list(threads.map(send_timed, range(number)))
    return [response for response, took_s in responses if not (response.status_code == 409 and took_s > 2)]


def test_retry_gets_the_first_response_and_creates_nothing(ada: User):
    first = post(ada, "one")
    assert first.status_code == 201
    retries = [post(ada, "one") for _ in range(3)]
    assert all(is_same(retry, first) for retry in retries)
    assert len({response.headers["x-request-id"] for response in [first, *retries]}) == 4
    assert ada.get().json() == [first.json()]


def test_retry_gets_the_first_response_after_a_change_or_deletion_of_the_task(ada: User):
    first = post(ada, "one")
    path = f"/{first.json()['id']}"
    changed = ada.patch(path, {"title": "Buy oats"}).json()
    assert is_same(post(ada, "one"), first)
    assert ada.get().json() == [changed]
    ada.delete(path)
    assert is_same(post(ada, "one"), first)
    assert ada.get().json() == []


def test_retry_may_spell_the_same_json_in_another_way(ada: User):
    first = post(ada, "one")
    for spelling, content in SAME_BODY.items():
        headers = {"Content-Type": "application/json; charset=utf-8"}
        assert is_same(post(ada, "one", content=content, headers=headers), first), spelling
    assert ada.get().json() == [first.json()]


def test_another_body_with_the_same_key_is_422_and_stores_nothing(ada: User):
    first = post(ada, "one")
    for body in OTHER_BODIES:
        response = post(ada, "one", body)
        assert (response.status_code, response.json()["type"]) == (422, "urn:todo:problem:key-reused")
    assert ada.get().json() == [first.json()]
    assert is_same(post(ada, "one"), first)


def test_true_and_1_are_different_bodies(ada: User):
    post(ada, "one", MILK | {"colour": True})
    assert post(ada, "one", MILK | {"colour": 1}).status_code == 422


def test_without_a_key_each_request_creates_a_task(ada: User):
    assert [ada.post(MILK).status_code for _ in range(2)] == [201, 201]
    assert len(ada.get().json()) == 2


@pytest.mark.parametrize("same_body", [True, False])
def test_same_key_of_two_users_is_two_keys_and_each_retry_gets_its_own_response(
    ada: User, bob: User, same_body: bool
):
    bodies = {ada: MILK, bob: MILK if same_body else {"title": "Buy oats"}}
    first = {user: post(user, "one", body) for user, body in bodies.items()}
    for user in (ada, bob, ada):
        assert first[user].json()["user_id"] == user.id
        assert is_same(post(user, "one", bodies[user]), first[user])
        assert user.get().json() == [first[user].json()]


def test_keys_are_compared_byte_for_byte(ada: User):
    first = {key: post(ada, key) for key in KEYS}
    assert len({response.json()["id"] for response in first.values()}) == len(KEYS)
    assert all(is_same(post(ada, key), response) for key, response in first.items())


@on_sqlite
def test_malformed_key_is_400_and_stores_nothing(ada: User):
    two_keys = [[("Idempotency-Key", "one"), ("Idempotency-Key", second)] for second in ("one", "two")]
    for keys in [*([("Idempotency-Key", key)] for key in NOT_KEYS), *two_keys]:
        response = ada.http.post(ada.tasks, json=MILK, headers=[*ada.headers.items(), *keys])
        assert response.status_code == 400
        violations = {(found["in"], found["pointer"]) for found in response.json()["errors"]}
        assert violations == {("header", "/Idempotency-Key")}
    for unreadable in (b"a\x01key", b"a\x7fkey"):
        assert post(ada, unreadable).status_code == 400
    assert ada.get().json() == []


def test_many_requests_at_once_with_one_key_create_one_task(ada: User, is_long: bool):
    for number in range(50 if is_long else 3):
        responses = send_at_once(lambda _: post(ada, f"key-{number}"))  # noqa: B023
        assert {(found.status_code, found.content) for found in responses} == {(201, responses[0].content)}
        assert len(ada.get().json()) == number + 1


def test_one_of_two_bodies_at_once_with_one_key_is_stored(ada: User):
    responses = send_at_once(lambda which: post(ada, "one", {"title": f"Buy {which % 2}"}), 8)
    stored = {response.content for response in responses if response.status_code == 201}
    assert {response.status_code for response in responses} == {201, 422}
    assert (len(stored), len(ada.get().json())) == (1, 1)


def test_first_tasks_of_a_new_user_at_once_with_a_key_each_are_all_created(ada: User):
    responses = send_at_once(lambda which: post(ada, f"key-{which}"), 8)
    assert [response.status_code for response in responses] == [201] * 8
    assert len({response.json()["id"] for response in responses}) == len(ada.get().json()) == 8
    assert all(is_same(post(ada, f"key-{which}"), first) for which, first in enumerate(responses))


def send_rejected(ada: User, bob: User) -> Iterator[httpx.Response]:
    yield post(ada, "one", {"title": ""})
    yield post(ada, "one", {"title": "Buy milk", "description": 1})
    yield post(ada, "one", content=b"{", headers=JSON)
    yield post(ada, "one", content=b"{}", headers={"Content-Type": "text/plain"})
    yield post(ada, "one", headers={"Authorization": "Bearer forged"}, json=MILK)
    yield ada.http.post(ada.tasks, json=MILK, headers=bob.headers | {"Idempotency-Key": "one"})
    yield ada.http.post(bob.tasks, json=MILK, headers=ada.headers | {"Idempotency-Key": "one"})


REJECTED = [400, 400, 400, 415, 401, 403, 403]


def test_rejected_request_does_not_use_its_key(ada: User, bob: User):
    assert [response.status_code for response in send_rejected(ada, bob)] == REJECTED
    for user in (ada, bob):
        assert post(user, "one", {"title": "Buy bread"}).status_code == 201
        assert [task["title"] for task in user.get().json()] == ["Buy bread"]


def test_used_key_does_not_change_how_requests_are_rejected(ada: User):
    post(ada, "one")
    assert [response.status_code for response in send_rejected(ada, new_user(ada.http))] == REJECTED


def test_other_operations_ignore_the_key(ada: User):
    path = f"/{post(ada, 'one').json()['id']}"
    for key in ("one", "", "no key"):
        headers = {"Idempotency-Key": key}
        toggled = [ada.request("PATCH", f"{path}/complete", headers=headers).json() for _ in range(2)]
        assert [task["completed"] for task in toggled] == [True, False]
        for method in ("PATCH", "PUT"):
            changed = ada.request(method, path, json={"title": f"{method} {key}"}, headers=headers)
            assert changed.json()["title"] == f"{method} {key}"
        assert ada.request("GET", headers=headers).status_code == 200
    assert ada.request("DELETE", path, headers={"Idempotency-Key": "one"}).status_code == 204
