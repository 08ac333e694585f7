"""Clients that go on writing and reading while the database fails, and know what it must hold in the end."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import httpx

from tests.faults.postgresql_site import DEADLINE_S, RECOVERY_S, Asked, Site, create_with_key, timed
from tests.support.server import eventually
from tests.support.users import User, new_user


class Client:
    """Someone who writes and reads until told to stop, and remembers every answer."""

    def __init__(self, person: User) -> None:
        self.person = person
        self.asked: list[Asked] = []
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.misread: list[Any] = []

    def go_on(self, ended: Event) -> None:
        for number in itertools.count():
            if ended.is_set():
                return
            if task := self.create(f"{number}"):
                self.complete_and_read(task)
            self.create_until_done(f"{number} with a key")

    def create(self, title: str) -> Any:
        """The new task, or None: refused, and so stored or not, but never twice."""
        return self._keep(title, self.ask("POST", json={"title": title}))

    def create_until_done(self, title: str) -> None:
        """Send it with one key until it is acknowledged."""

        def is_created() -> bool:
            self.asked.append(timed(lambda: create_with_key(self.person, title)))
            return self._keep(title, self.asked[-1].answer) is not None

        eventually(is_created, within_s=60)  # longer than any fault lasts

    def complete_and_read(self, task: dict[str, Any]) -> None:
        """A row that is read must be the one that was written."""
        completed = self.ask("PATCH", f"/{task['id']}/complete", json={"completed": True})
        read = self.ask("GET", f"/{task['id']}")
        if read.status_code != 200:
            return
        expected = completed.json() if completed.status_code == 200 else task
        unsure = set() if completed.status_code == 200 else {"completed", "updated_at"}
        if any(read.json()[name] != expected[name] for name in expected.keys() - unsure):
            self.misread.append(read.json())

    def ask(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        self.asked.append(timed(lambda: self.person.request(method, path, **options)))
        return self.asked[-1].answer

    def _keep(self, title: str, answer: httpx.Response) -> Any:
        self.sent.add(title)
        if answer.status_code != 201:
            return None
        self.acknowledged.add(title)
        if answer.json()["title"] != title:
            self.misread.append(answer.json())
        return answer.json()


class Load:
    """All clients, and the time from the fault until all was well again."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.broken = self.mended = self.well = time.monotonic()

    @property
    def asked(self) -> list[Asked]:
        return [asked for client in self.clients for asked in client.asked]

    def refused(self) -> list[Asked]:
        """What was not done, for want of the database or while the first try of a key is under way."""
        return [asked for asked in self.asked if asked.status in {503, 409}]

    def others(self) -> set[int]:
        """The statuses that are neither successes nor refusals."""
        return {asked.status for asked in self.asked} - {200, 201, 503, 409}


@contextmanager
def under_load(site: Site, clients: int = 6) -> Iterator[Load]:
    """The body breaks the database and mends it. Meanwhile clients go on, and shortly before and after.

    Fails unless all is well again within RECOVERY_S.
    """
    load = Load([Client(new_user(site.http)) for _ in range(clients)])
    with going_on(load):
        time.sleep(0.3)
        load.broken = time.monotonic()
        yield load
        load.mended = time.monotonic()
        recovered = eventually(site.is_well, RECOVERY_S)
        load.well = time.monotonic()
        time.sleep(0.3)
    assert recovered
    assert load.well - load.mended < RECOVERY_S


@contextmanager
def going_on(load: Load) -> Iterator[None]:
    ended = Event()
    with ThreadPoolExecutor(len(load.clients)) as threads:
        futures = [threads.submit(client.go_on, ended) for client in load.clients]
        try:
            yield
        finally:
            ended.set()
    for future in futures:
        future.result()


def holds(site: Site, load: Load) -> None:
    """Every answer was a success, or a refusal in time, for cause. Nothing is lost, nothing there twice."""
    assert load.others() == set()
    assert max(asked.took_s for asked in load.asked) < DEADLINE_S
    assert [one for one in load.refused() if one.ended < load.broken or one.began > load.well] == []
    for client in load.clients:
        stored = Counter(site.titles(client.person.id))
        assert client.misread == []
        assert {title for title in client.sent if "key" in title} <= client.acknowledged
        assert client.acknowledged <= stored.keys() <= client.sent
        assert set(stored.values()) == {1}
