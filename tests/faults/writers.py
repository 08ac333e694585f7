"""People who write without pause, through whatever happens to the database meanwhile."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from tests.faults.tasks import post_keyed, tasks_of
from tests.support.contract_checks import open_client
from tests.support.server import Server, eventually
from tests.support.users import User, sign_token

WRITERS = 8  # every other one sends an Idempotency-Key, and each of its tasks until it is created
PAUSE_S = 0.02
SETTLED_S = 1  # far more than an answer takes


class Answer(NamedTuple):
    writer: int
    at: float
    status: int
    took_s: float


@dataclass
class Written:
    """What the writers of `owner` were answered so far. The key of a task with a key is its title."""

    owner: str
    answers: list[Answer] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)  # title: id
    retried: set[str] = field(default_factory=set)

    def statuses(self, since: float = 0, until: float = float("inf")) -> set[int]:
        return {answer.status for answer in list(self.answers) if since < answer.at <= until}

    def is_good(self, since: float = 0) -> bool:
        """Whether in the last moment, `since` then at most, every writer was answered, and only with 201."""
        begin = max(since, time.monotonic() - SETTLED_S)
        answered = {answer.writer for answer in list(self.answers) if answer.at > begin}
        return len(answered) == WRITERS and self.statuses(since=begin) == {201}

    def first_good_s(self, since: float) -> float:
        """Seconds until the first 201, infinitely many when there was none."""
        good = (answer.at for answer in self.answers if answer.at > since and answer.status == 201)
        return min(good, default=float("inf")) - since

    def slowest_s(self) -> float:
        return max(answer.took_s for answer in self.answers)


@contextmanager
def writing(server: Server, owner: str) -> Iterator[Written]:
    """Writers at work, all well at first. What went wrong with one of them is raised when they have ended."""
    written, over = Written(owner), threading.Event()
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(_write, server, written, over, number) for number in range(WRITERS)]
        try:
            time.sleep(SETTLED_S)
            assert eventually(written.is_good, within_s=10), written.statuses()
            yield written
        finally:
            over.set()
    for writer in writers:
        writer.result()


def _write(server: Server, written: Written, over: threading.Event, writer: int) -> None:
    with signed_in(server, written.owner) as person:
        number = 0
        while not over.wait(PAUSE_S):
            title = f"{writer}-{number}"
            if _create(person, written, writer, title) or not _has_key(writer):
                number += 1
            else:
                written.retried.add(title)


def _create(person: User, written: Written, writer: int, title: str) -> bool:
    """Whether the server says that it did."""
    began = time.monotonic()
    answer = post(person, title, _has_key(writer))
    now = time.monotonic()
    written.answers.append(Answer(writer, now, answer.status_code, now - began))
    if answer.status_code == 201:
        written.acknowledged[title] = answer.json()["id"]
    return answer.status_code == 201


def _has_key(writer: int) -> bool:
    return writer % 2 == 0


def post(person: User, title: str, has_key: bool) -> httpx.Response:
    return post_keyed(person, title) if has_key else person.post({"title": title})


@contextmanager
def signed_in(server: Server, owner: str) -> Iterator[User]:
    with open_client(server.url, timeout=10) as http:
        yield User(http, owner, sign_token(owner))


def tasks_of_keys(person: User, keys: set[str]) -> dict[str, int | None]:
    """The id that each key gives when its request is sent once more."""
    return {key: post(person, key, has_key=True).json().get("id") for key in keys}


def tasks(person: User) -> list[tuple[str, int]]:
    """Title and id of each, page by page."""
    return [(task["title"], task["id"]) for task in tasks_of(person)]
