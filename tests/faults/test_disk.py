"""The disk below SQLite is full, or fails: writes are 503, reads go on, and all comes back by itself."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import FailingDisk, FullDisk, mounted, serving
from tests.support.server import Server
from tests.support.users import User, sign_token

WRITERS = 8
LONG = "x" * 2000


@dataclass
class Faulty:
    """A server on a disk that can be made to fail, and to work again."""

    server: Server
    ada: User
    disk: FullDisk | FailingDisk

    def fail(self) -> None:
        self.disk.fail(self.server)

    def recover(self) -> None:
        self.disk.recover(self.server)


@pytest.fixture(scope="module", params=[FullDisk, FailingDisk])
def sound(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Faulty]:
    file = tmp_path_factory.mktemp("disk") / "todo.db"
    with ExitStack() as stack:
        if request.param is FullDisk:
            stack.enter_context(mounted(file.parent))
        with serving(folder, file) as (server, ada):
            yield Faulty(server, ada, request.param(file))
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def faulty(sound: Faulty) -> Iterator[Faulty]:
    """The same for each test, which may let it fail."""
    yield sound
    sound.recover()


def writes_of(
    ada: User, task_id: int, key: str = "kept-for-later"
) -> dict[str, Callable[[], httpx.Response]]:
    return {
        "post": lambda: ada.post({"title": "Buy bread", "description": LONG}),
        "post with a key": lambda: ada.post_with_key(key, {"title": key, "description": LONG}),
        "put": lambda: ada.put(f"/{task_id}", {"title": "Buy bread", "description": LONG}),
        "patch": lambda: ada.patch(f"/{task_id}", {"description": LONG}),
        "complete": lambda: ada.complete(task_id),
        "delete": lambda: ada.delete(f"/{task_id}"),
    }


def test_every_kind_of_write_is_503_and_changes_nothing(faulty: Faulty):
    before = faulty.ada.list_all()
    faulty.fail()
    writes = writes_of(faulty.ada, before[0]["id"])
    assert {name: write().status_code for name, write in writes.items()} == dict.fromkeys(writes, 503)
    assert faulty.ada.list_all() == before


def test_reads_succeed_and_the_server_is_live_and_ready(faulty: Faulty):
    task_id = faulty.ada.create_task()["id"]
    faulty.fail()
    assert faulty.ada.post({"title": "Buy bread", "description": LONG}).status_code == 503
    assert faulty.ada.get(f"/{task_id}").status_code == 200
    assert faulty.ada.get().status_code == 200
    assert faulty.ada.http.get("/health/ready").status_code == 200
    assert faulty.ada.http.get("/health/live").status_code == 200


def test_first_request_of_a_new_user_is_503_and_succeeds_later(faulty: Faulty):
    newcomer = User(faulty.ada.http, "new", sign_token("new"))
    faulty.fail()
    assert newcomer.post({"title": "Buy bread"}).status_code == 503
    faulty.recover()
    newcomer.create_task()


def test_every_kind_of_write_succeeds_again_without_a_restart(faulty: Faulty):
    task_id = faulty.ada.create_task()["id"]
    writes = writes_of(faulty.ada, task_id, key="sent-twice")
    faulty.fail()
    assert {write().status_code for write in writes.values()} == {503}
    faulty.recover()
    assert [write().status_code for write in writes.values()] == [201, 201, 200, 200, 200, 204]
    assert faulty.ada.titles().count("sent-twice") == 1


def test_exactly_the_acknowledged_tasks_are_stored_while_the_disk_fills_up(faulty: Faulty):
    faulty.disk.leave(faulty.server, 400 * 1024)
    end = time.monotonic() + 20

    def write(writer: int) -> set[str]:
        acknowledged = set()
        for number in range(10_000):
            title = f"filling {writer}-{number}"
            answer = faulty.ada.post({"title": title, "description": LONG})
            assert answer.status_code in {201, 503}
            if answer.status_code == 503 or time.monotonic() > end:
                return acknowledged
            acknowledged.add(title)
        return acknowledged

    with ThreadPoolExecutor(WRITERS) as threads:
        acknowledged = set().union(*threads.map(write, range(WRITERS)))
    stored = [title for title in faulty.ada.titles() if title.startswith("filling")]
    assert acknowledged
    assert sorted(stored) == sorted(acknowledged)
