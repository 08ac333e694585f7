"""Clients that write and read while a test breaks something, and the promises that were made to them."""

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any, NamedTuple

import httpx

from tests.support.contract_checks import open_client
from tests.support.server import eventually
from tests.support.users import User, sign_token

CLIENTS = 8
PAUSE_S = 0.02
SETTLED_S = 1  # longer than any request without a fault
RESPONSE_S = 5  # each response, a rejection too
RECOVERY_S = 10
KEY_S = 60  # longer than any fault
SUCCESSES = {200, 201, 204}
NO_RESPONSE = 0

Task = dict[str, Any]


class Exchange(NamedTuple):
    """A request, its response and the times of both (monotonic)."""

    began_at: float
    ended_at: float
    status: int


class Client:
    """A user who creates, completes, reads and deletes tasks. Each title is used for one task."""

    def __init__(self, http: httpx.Client) -> None:
        user_id = f"client-{secrets.token_hex(4)}"
        self.user = User(http, user_id, sign_token(user_id))
        self.exchanges: list[Exchange] = []
        self.sent: set[str] = set()
        self.tasks: dict[str, Task] = {}  # as acknowledged last, by title
        self.deleted: set[str] = set()
        self.retries_s: list[float] = []
        self.contradictions: list[tuple[Task, Any]] = []

    def run(self, stop: Event) -> None:
        for number in itertools.count():
            if stop.wait(PAUSE_S):
                return
            self.create_with_key(f"{number} with a key")
            if task := self.create(f"{number}"):
                self.complete_and_read(task)
                if number % 4 == 0:
                    self.delete(task)

    def request(self, method: str, path: str = "", **options: Any) -> httpx.Response | None:
        """Return the response, None if the connection breaks."""
        began_at = time.monotonic()
        try:
            response = self.user.request(method, path, **options)
        except httpx.TransportError:
            response = None
        status = response.status_code if response is not None else NO_RESPONSE
        self.exchanges.append(Exchange(began_at, time.monotonic(), status))
        return response

    def create(self, title: str, **headers: str) -> Task | None:
        """Return the new task. After None the task may be stored or not."""
        self.sent.add(title)
        response = self.request("POST", json={"title": title}, headers=headers)
        if response is None or response.status_code != 201:
            return None
        task: Task = response.json()
        self.expect(task, task["title"] == title)
        self.tasks[title] = task
        return task

    def create_with_key(self, title: str) -> None:
        """Send the request with one key until the task is created. Time it from the first rejection."""
        rejected_at: list[float] = []

        def is_created() -> bool:
            if self.create(title, **{"Idempotency-Key": title.replace(" ", "-")}):
                return True
            if self.exchanges[-1].status != NO_RESPONSE:
                rejected_at.append(self.exchanges[-1].ended_at)
            return False

        if not is_created():
            eventually(is_created, within_s=KEY_S)
            self.retries_s.append(time.monotonic() - rejected_at[0] if rejected_at else 0)

    def complete_and_read(self, task: Task) -> None:
        """Complete the task if it is unchanged. A response must not be older than the one before."""
        path, version = f"/{task['id']}", 1
        changed = self.request("PATCH", f"{path}/complete", headers={"If-Match": '"1"'})
        if changed is not None and changed.status_code == 200:
            task, version = changed.json(), 2
            self.tasks[task["title"]] = task
        read = self.request("GET", path)
        if read is not None and read.status_code == 200:
            is_newer = int(read.headers["etag"].strip('"')) > version
            self.expect(read.json(), is_newer or read.json() == task)
            self.tasks[task["title"]] = read.json()

    def delete(self, task: Task) -> None:
        """Delete the task. Without a 204 the task may be stored or not."""
        del self.tasks[task["title"]]
        response = self.request("DELETE", f"/{task['id']}")
        if response is not None and response.status_code == 204:
            self.deleted.add(task["title"])

    def expect(self, task: Task, is_right: bool) -> None:
        if not is_right:
            self.contradictions.append((task, self.tasks.get(task["title"])))

    def check_stored(self) -> None:
        """Assert that each acknowledged change is stored, once, and nothing that was not sent."""
        with open_client(str(self.user.http.base_url)) as http:
            stored = self.user.on(http).list_all(limit=1000)
        counts = Counter(task["title"] for task in stored)
        for task in stored:
            known = self.tasks.get(task["title"], task)
            # A complete without a response may have been carried out.
            self.expect(task, task == known or (not known["completed"] and task["id"] == known["id"]))
        assert self.contradictions == []
        assert set(counts.values()) <= {1}
        assert self.tasks.keys() <= counts.keys() <= self.sent - self.deleted
        assert {title for title in self.sent if "key" in title} <= self.tasks.keys()


class Load:
    """The clients, and the times (monotonic) at which a fault began, ended and was overcome."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.broken_at = self.restored_at = self.well_at = time.monotonic()

    def __str__(self) -> str:
        return (
            f"{len(self.exchanges)} requests, {sum(len(client.tasks) for client in self.clients)} tasks,"
            f" {len(self.retries_s)} retries with a key, the longest {max(self.retries_s, default=0):.2f} s,"
            f" first success {self.first_success_s():.2f} s after the fault"
        )

    @property
    def exchanges(self) -> list[Exchange]:
        return [exchange for client in self.clients for exchange in list(client.exchanges)]

    def statuses(self) -> set[int]:
        return {exchange.status for exchange in self.exchanges}

    @property
    def retries_s(self) -> list[float]:
        return [retry_s for client in self.clients for retry_s in client.retries_s]

    def first_success_s(self) -> float:
        """Return the seconds from the end of the fault until the first success, infinite without one."""
        ends = (each.ended_at for each in self.exchanges if each.status in SUCCESSES)
        return min((at for at in ends if at > self.restored_at), default=float("inf")) - self.restored_at

    def is_well(self) -> bool:
        """Return whether every client sent requests in the last moment and all succeeded."""
        since = max(self.restored_at, time.monotonic() - SETTLED_S)
        recent = [
            [each.status for each in client.exchanges if each.ended_at > since] for client in self.clients
        ]
        return all(statuses and SUCCESSES.issuperset(statuses) for statuses in recent)

    def check(self) -> None:
        """Assert that the server rejected requests in time, only because of the fault, and lost nothing.

        409 is the response to a key whose first request is in progress.
        """
        rejected = [each for each in self.exchanges if each.status not in SUCCESSES]
        assert self.statuses() <= SUCCESSES | {409, 503}
        assert [
            each for each in rejected if each.ended_at < self.broken_at or each.began_at > self.well_at
        ] == []
        assert max(each.ended_at - each.began_at for each in self.exchanges) < RESPONSE_S
        self.check_stored()

    def check_stored(self) -> None:
        for client in self.clients:
            client.check_stored()


@contextmanager
def run_clients(url: str, count: int = CLIENTS) -> Iterator[Load]:
    """Run clients of the server until the end of the body. Raise what one of them raised."""
    stop = Event()
    with ExitStack() as stack:
        load = Load([Client(stack.enter_context(open_client(url, timeout=10))) for _ in range(count)])
        threads = stack.enter_context(ThreadPoolExecutor(count))
        running = [threads.submit(client.run, stop) for client in load.clients]
        try:
            yield load
        finally:
            stop.set()
    for each in running:
        each.result()


@contextmanager
def break_under_load(
    url: str, is_well: Callable[[Load], bool] = Load.is_well, clients: int = CLIENTS
) -> Iterator[Load]:
    """Run clients before, while and after the body breaks something and restores it.

    Fail unless `is_well` becomes true within RECOVERY_S.
    """
    with run_clients(url, clients) as load:
        time.sleep(0.3)
        load.broken_at = time.monotonic()
        yield load
        load.restored_at = time.monotonic()
        assert eventually(lambda: is_well(load), RECOVERY_S)
        load.well_at = time.monotonic()
        time.sleep(0.3)
    print(load)
