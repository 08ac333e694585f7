"""Clients that change one task at once, each by the version it has seen: no change is lost or done twice."""

import json
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.users import User

CLIENTS, APPENDING, APPENDS = 16, 8, 4
ORIGIN = "http://localhost:3000"


def changes_at_once(person: User, task_id: int, tag: str, clients: int = CLIENTS) -> list[httpx.Response]:
    """The answers to that many, let go together."""
    start = Barrier(clients)

    def change(number: int) -> httpx.Response:
        start.wait(timeout=10)
        body = {"title": f"By {number}"}
        return person.request("PATCH", f"/{task_id}", json=body, headers={"If-Match": tag})

    with ThreadPoolExecutor(clients) as threads:
        return list(threads.map(change, range(clients)))


def test_of_many_that_change_the_same_version_one_succeeds(ada: User, is_long: bool):
    path = f"/{ada.create_task()['id']}"
    for _ in range(100 if is_long else 5):
        tag = ada.get(path).headers["etag"]
        answers = changes_at_once(ada, int(path[1:]), tag)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: CLIENTS - 1}
        [done] = [answer for answer in answers if answer.is_success]
        after = ada.get(path)
        assert (after.json(), after.headers["etag"]) == (done.json(), done.headers["etag"])


def append(person: User, path: str, word: str) -> None:
    """Read, change, write; and again from the beginning as often as someone else was faster."""
    for _ in range(500):
        seen = person.get(path)
        words = (seen.json()["description"] or "") + word
        tag = {"If-Match": seen.headers["etag"]}
        if person.request("PATCH", path, json={"description": words}, headers=tag).status_code == 200:
            return
    raise AssertionError("others were always faster")


def test_no_word_is_lost_that_many_append_at_once(ada: User, is_long: bool):
    path, rounds = f"/{ada.create_task()['id']}", 5 * APPENDS if is_long else APPENDS

    def write(writer: int) -> None:
        for number in range(rounds):
            append(ada, path, f"{writer}.{number} ")

    with ThreadPoolExecutor(APPENDING) as threads:
        list(threads.map(write, range(APPENDING)))
    written = ada.get(path).json()["description"].split()
    assert sorted(written) == sorted(f"{w}.{n}" for w in range(APPENDING) for n in range(rounds))


def test_either_the_change_or_the_deletion_of_one_version_succeeds(ada: User):
    for _ in range(10):
        path = f"/{ada.create_task()['id']}"
        tag = {"If-Match": ada.get(path).headers["etag"]}
        with ThreadPoolExecutor(2) as threads:
            change = threads.submit(ada.request, "PATCH", path, json={"title": "Buy oats"}, headers=tag)
            deletion = threads.submit(ada.request, "DELETE", path, headers=tag)
        statuses = change.result().status_code, deletion.result().status_code
        assert statuses in {(200, 412), (404, 204)}
        assert ada.get(path).status_code == (200 if statuses[0] == 200 else 404)


@pytest.mark.parametrize("body", [None, {}])
def test_toggle_sent_again_after_its_answer_was_lost_is_done_once(ada: User, body: object):
    path = f"/{ada.create_task(completed=False)['id']}"
    tag = ada.get(path).headers["etag"]
    lose_the_answer(ada, f"{path}/complete", tag, body)
    retried = ada.request("PATCH", f"{path}/complete", json=body, headers={"If-Match": tag})
    assert retried.status_code in {200, 412}
    after = ada.get(path)
    assert after.json()["completed"] is True
    assert ada.request("GET", path, headers={"If-None-Match": tag}).status_code == 200


def lose_the_answer(person: User, path: str, tag: str, body: object) -> None:
    """Send the change, wait for the answer to arrive, and go without having read it."""
    address = urlsplit(str(person.http.base_url))
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": address.netloc, "If-Match": tag, **person.headers, "Content-Length": str(len(content))}
    lines |= {} if body is None else {"Content-Type": "application/json"}
    head = [f"PATCH {person.tasks}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + content)
        connection.recv(1)


def test_frontend_of_another_origin_may_send_conditions_and_keys(ada: User):
    headers = "authorization,content-type,if-match,if-none-match,idempotency-key"
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": headers}
    answer = ada.http.options(ada.tasks, headers={"Origin": ORIGIN} | asks)
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert answer.status_code == 200
    assert {*headers.split(",")} <= {*allowed}


def test_frontend_of_another_origin_may_read_the_tag(ada: User):
    answer = ada.request("POST", json={"title": "Buy milk"}, headers={"Origin": ORIGIN})
    exposed = answer.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
    assert {"etag", "location"} <= {*exposed}
