"""Idempotency-Key: however often a new task is sent, there is one, and each answer is the first one's."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.support.contract_checks import open_client
from tests.support.server import Server, find_free_port, run_server
from tests.support.users import User, new_user

AT_ONCE = 16
MILK = {"title": "Buy milk", "description": "Two litres"}


def post(person: User, key: str | bytes, body: Any = MILK, **options: Any) -> httpx.Response:
    options = options or {"json": body}
    headers = {"Idempotency-Key": key} | options.pop("headers", {})
    return person.request("POST", headers=headers, **options)


def is_same(answer: httpx.Response, first: httpx.Response) -> bool:
    """Whether it is the first answer once more, byte for byte."""
    headers = ("location", "etag", "content-type", "cache-control", "vary")
    return (answer.status_code, answer.content) == (first.status_code, first.content) and all(
        answer.headers[name] == first.headers[name] for name in headers
    )


def at_once(ask: Callable[[int], httpx.Response], number: int = AT_ONCE) -> list[httpx.Response]:
    """The answers to that many requests, let go together, but for 409s after the 2 s that a request waits."""
    start = Barrier(number)

    def timed(which: int) -> tuple[httpx.Response, float]:
        start.wait(timeout=10)
        began = time.monotonic()
        return ask(which), time.monotonic() - began

    with ThreadPoolExecutor(number) as threads:
        answers = list(threads.map(timed, range(number)))
    return [answer for answer, took_s in answers if not (answer.status_code == 409 and took_s > 2)]


def test_same_key_and_body_give_the_first_answer_and_one_task(ada: User):
    first = post(ada, "one")
    assert first.status_code == 201
    assert all(is_same(post(ada, "one"), first) for _ in range(3))
    assert ada.get().json() == [first.json()]


def test_first_answer_is_given_after_the_task_has_changed_or_gone(ada: User):
    first = post(ada, "one")
    path = f"/{first.json()['id']}"
    changed = ada.patch(path, {"title": "Buy oats"}).json()
    assert is_same(post(ada, "one"), first)
    assert ada.get().json() == [changed]
    ada.delete(path)
    assert is_same(post(ada, "one"), first)
    assert ada.get().json() == []


def test_each_answer_has_a_request_id_of_its_own(ada: User):
    ids = {post(ada, "one").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "content",
    [
        b'{"description":"Two litres","title":"Buy milk"}',
        b' {\n\t"title" : "Buy milk" ,\r\n "description":"Two litres" } ',
        b'{"title":"\\u0042uy milk","description":"Two\\u0020litres"}',
    ],
    ids=["order", "white space", "escapes"],
)
def test_json_spelled_differently_is_the_same_body(ada: User, content: bytes):
    first = post(ada, "one")
    again = post(ada, "one", content=content, headers={"Content-Type": "application/json; charset=utf-8"})
    assert is_same(again, first)
    assert ada.get().json() == [first.json()]


@pytest.mark.parametrize(
    "body",
    [{"title": "Buy oats"}, {"title": "Buy milk"}, MILK | {"completed": True}, MILK | {"colour": "white"}],
)
def test_another_body_is_422_and_stores_nothing(ada: User, body: dict[str, Any]):
    first = post(ada, "one")
    answer = post(ada, "one", body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:todo:problem:key-reused")
    assert ada.get().json() == [first.json()]
    assert is_same(post(ada, "one"), first)


def test_true_is_not_one(ada: User):
    post(ada, "one", MILK | {"colour": True})
    assert post(ada, "one", MILK | {"colour": 1}).status_code == 422


def test_without_a_key_each_request_makes_a_task(ada: User):
    assert {ada.post(MILK).status_code for _ in range(2)} == {201}
    assert len(ada.get().json()) == 2


def test_keys_are_each_users_own(ada: User, bob: User):
    adas, bobs = post(ada, "one"), post(bob, "one", {"title": "Buy oats"})
    assert (adas.status_code, bobs.status_code) == (201, 201)
    assert (ada.get().json(), bob.get().json()) == ([adas.json()], [bobs.json()])


@pytest.mark.parametrize("other", ["KEY", "Key", "key-", "ke"])
def test_keys_are_compared_byte_for_byte(ada: User, other: str):
    assert post(ada, "key").json()["id"] != post(ada, other).json()["id"]


@pytest.mark.parametrize("key", ["1", "~" * 255, "!", "%41", "\"',;\\", "k" * 255])
def test_what_is_visible_ascii_is_a_key(ada: User, key: str):
    first = post(ada, key)
    assert first.status_code == 201
    assert is_same(post(ada, key), first)


def test_keys_that_differ_in_their_last_character_are_two(ada: User):
    assert len({post(ada, "k" * 254 + last).json()["id"] for last in "ab"}) == 2


@pytest.mark.parametrize(
    "key",
    ["k" * 256, "k" * 5000, "", "a key", "a\tkey", "clé".encode("latin-1"), "clé".encode(), "a, b"],
    ids=["256", "5000", "empty", "space", "tab", "latin-1", "UTF-8", "list"],
)
def test_what_is_no_key_is_400_and_stores_nothing(ada: User, key: str | bytes):
    refuses_the_key(post(ada, key))
    assert ada.get().json() == []


def refuses_the_key(answer: httpx.Response) -> None:
    assert answer.status_code == 400
    faults = {(fault["in"], fault["pointer"]) for fault in answer.json()["errors"]}
    assert faults == {("header", "/Idempotency-Key")}


@pytest.mark.parametrize("control", [b"a\x01key", b"a\x7fkey"])
def test_control_characters_are_400(ada: User, control: bytes):
    assert post(ada, control).status_code == 400
    assert ada.get().json() == []


@pytest.mark.parametrize("second", ["one", "two"])
def test_two_keys_are_400(ada: User, second: str):
    headers = [*ada.headers.items(), ("Idempotency-Key", "one"), ("Idempotency-Key", second)]
    refuses_the_key(ada.http.post(ada.tasks, json=MILK, headers=headers))
    assert ada.get().json() == []


def test_many_at_once_with_one_key_make_one_task(ada: User, is_long: bool):
    for number in range(50 if is_long else 3):
        answers = at_once(lambda _: post(ada, f"key-{number}"))  # noqa: B023
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert len(ada.get().json()) == number + 1


def test_of_two_bodies_at_once_with_one_key_one_wins(ada: User):
    answers = at_once(lambda which: post(ada, "one", {"title": f"Buy {which % 2}"}), 8)
    won = {answer.content for answer in answers if answer.status_code == 201}
    assert {answer.status_code for answer in answers} == {201, 422}
    assert (len(won), len(ada.get().json())) == (1, 1)


def refused_first(ada: User, bob: User) -> Iterator[httpx.Response]:
    yield post(ada, "one", {"title": ""})
    yield post(ada, "one", {"title": "Buy milk", "description": 1})
    yield post(ada, "one", content=b"{", headers={"Content-Type": "application/json"})
    yield post(ada, "one", content=b"{}", headers={"Content-Type": "text/plain"})
    yield post(ada, "one", headers={"Authorization": "Bearer forged"}, json=MILK)
    yield ada.http.post(ada.tasks, json=MILK, headers=bob.headers | {"Idempotency-Key": "one"})
    yield ada.http.post(bob.tasks, json=MILK, headers=ada.headers | {"Idempotency-Key": "one"})


def test_refused_request_does_not_use_its_key_up(ada: User, bob: User):
    statuses = [answer.status_code for answer in refused_first(ada, bob)]
    assert statuses == [400, 400, 400, 415, 401, 403, 403]
    for person in (ada, bob):
        assert post(person, "one", {"title": "Buy bread"}).status_code == 201
        assert [task["title"] for task in person.get().json()] == ["Buy bread"]


def test_refusals_come_in_their_order_though_the_key_is_known(ada: User):
    post(ada, "one")
    statuses = [answer.status_code for answer in refused_first(ada, new_user(ada.http))]
    assert statuses == [400, 400, 400, 415, 401, 403, 403]


def test_keys_of_other_operations_are_ignored(ada: User):
    path = f"/{post(ada, 'one').json()['id']}"
    for key in ("one", "", "no key"):
        headers = {"Idempotency-Key": key}
        toggled = [ada.request("PATCH", f"{path}/complete", headers=headers).json() for _ in range(2)]
        assert [task["completed"] for task in toggled] == [True, False]
        assert ada.request("PATCH", path, json={"title": key or "-"}, headers=headers).status_code == 200
        assert ada.request("GET", headers=headers).status_code == 200
    assert [ada.request("DELETE", path, headers={"Idempotency-Key": "one"}).status_code] == [204]


def test_first_tasks_of_a_new_user_at_once_with_a_key_each_are_all_made(ada: User):
    answers = at_once(lambda which: post(ada, f"key-{which}"), 8)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["id"] for answer in answers}) == len(ada.get().json()) == 8
    assert all(is_same(post(ada, f"key-{which}"), answer) for which, answer in enumerate(answers))


def test_first_tasks_of_a_new_user_at_once_with_one_key_are_one(ada: User):
    answers = at_once(lambda _: post(ada, "one"), 8)
    assert {answer.status_code for answer in answers} == {201}
    assert [answer.json() for answer in answers] == ada.get().json() * len(answers)


def test_two_servers_on_one_database_share_the_keys(secret_server: Server, ada: User, folder: Path):
    settings = secret_server.settings | {"PORT": str(find_free_port())}
    with run_server(folder, **settings) as other, open_client(other.url) as http:
        twins = [ada, User(http, ada.id, ada.headers["Authorization"].removeprefix("Bearer "))]
        assert is_same(post(twins[1], "one"), post(twins[0], "one"))
        assert post(twins[1], "one", {"title": "Buy oats"}).status_code == 422
        answers = at_once(lambda which: post(twins[which % 2], "two"), 8)
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert len(ada.get().json()) == 2
