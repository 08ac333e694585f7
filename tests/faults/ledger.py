"""Writers that go on while their server is killed and started anew, and what they were promised."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.tasks import post_keyed
from tests.support.contract_checks import open_client
from tests.support.users import User, sign_token

EACH = 2  # of the four kinds of writers
PAUSE_S = 0.02  # between tries while the server is away
GIVEN_UP_AFTER_S = 10.0
OWNER = "ada"


@dataclass
class Ledger:
    """Everything acknowledged, and the time that retries with a key took once the server answered again."""

    posted: set[str] = field(default_factory=set)
    keyed: dict[str, bytes] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    versions: int = 0
    went_back: list[str] = field(default_factory=list)
    retries_s: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"acknowledged: {len(self.posted)} posts, {len(self.keyed)} with a key, {self.versions} changes,"
            f" {len(self.deleted)} deletions; {len(self.retries_s)} retries with a key, the longest"
            f" {max(self.retries_s, default=0):.2f} s; statuses {sorted(self.statuses)}"
        )


class Writer:
    """Someone with one connection, or none while the server is away."""

    def __init__(self, number: int, http: httpx.Client, ledger: Ledger, over: threading.Event) -> None:
        self.number, self.ledger, self.over = number, ledger, over
        self.ada = User(http, OWNER, sign_token(OWNER, exp=int(time.time()) + 36_000))

    def ask(self, request: Callable[[], httpx.Response]) -> httpx.Response | None:
        """The answer, if there is one."""
        try:
            answer = request()
        except httpx.TransportError:
            time.sleep(PAUSE_S)
            return None
        self.ledger.statuses.add(answer.status_code)
        return answer

    def posts(self) -> None:
        count = 0
        while not self.over.is_set():
            count += 1
            title = f"posted {self.number}-{count}"
            answer = self.ask(lambda: self.ada.post({"title": title}))  # noqa: B023
            if answer is not None and answer.status_code == 201:
                self.ledger.posted.add(title)

    def posts_with_a_key(self) -> None:
        count = 0
        while not self.over.is_set():
            count += 1
            key = f"keyed-{self.number}-{count}"
            if acknowledged := self._until_acknowledged(key):
                self.ledger.keyed[key] = acknowledged

    def _until_acknowledged(self, key: str) -> bytes | None:
        """The answer, at last; None when the key stays in use for too long."""
        is_retry, refused_at = False, None
        while refused_at is None or time.monotonic() - refused_at < GIVEN_UP_AFTER_S:
            answer = self.ask(lambda: post_keyed(self.ada, key))
            if answer is not None and answer.status_code == 201:
                if is_retry:
                    self.ledger.retries_s.append(time.monotonic() - refused_at if refused_at else 0.0)
                return answer.content
            if answer is None:
                is_retry = True
            else:
                refused_at = refused_at or time.monotonic()
                time.sleep(PAUSE_S)
        self.ledger.retries_s.append(GIVEN_UP_AFTER_S)
        return None

    def completes(self) -> None:
        task = self._new("completed")
        seen = (1, task)
        while not self.over.is_set():
            seen = self._toggled(seen)

    def _toggled(self, seen: tuple[int, dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        """The newest version that is acknowledged, after one more try."""
        version, task = seen
        path, headers = f"/{task['id']}", {"If-Match": f'"{version}"'}
        answer = self.ask(lambda: self.ada.request("PATCH", f"{path}/complete", headers=headers))
        if answer is None or answer.status_code != 200:
            answer = self.ask(lambda: self.ada.get(path))
        if answer is None or answer.status_code != 200:
            return seen
        found = (int(answer.headers["etag"].strip('"')), answer.json())
        if found[0] < version or (found[0] == version and version > 1 and found[1] != task):
            self.ledger.went_back.append(f"{seen} became {found}")
        self.ledger.versions += found[0] > version
        return found

    def deletes(self) -> None:
        while not self.over.is_set():
            task = self._new("deleted")
            if task and self._is_deleted(task["id"]):
                self.ledger.deleted.add(task["id"])

    def _is_deleted(self, task_id: int) -> bool:
        answer = self.ask(lambda: self.ada.delete(f"/{task_id}"))
        return answer is not None and answer.status_code == 204

    def _new(self, title: str) -> dict[str, Any]:
        """A task, whether or not it takes several tries."""
        answer = None
        while answer is None or answer.status_code != 201:
            answer = self.ask(lambda: self.ada.post({"title": title}))
        return dict(answer.json())


@contextmanager
def writing(url: str) -> Iterator[Ledger]:
    """What is acknowledged to writers of each kind, who go on until the end of this context."""
    ledger, over = Ledger(), threading.Event()

    def write(number: int) -> None:
        with open_client(url, timeout=10) as http:
            writer = Writer(number, http, ledger, over)
            (writer.posts, writer.posts_with_a_key, writer.completes, writer.deletes)[number % 4]()

    with ThreadPoolExecutor(4 * EACH) as threads:
        writers = [threads.submit(write, number) for number in range(4 * EACH)]
        try:
            yield ledger
        finally:
            over.set()
    for writer in writers:
        writer.result()
