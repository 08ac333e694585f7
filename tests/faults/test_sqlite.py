"""Other processes lock the SQLite file: reads succeed, writes wait and are then 503, and nothing is lost."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import serving
from tests.support.users import User

READERS, WRITERS = 20, 4
HOLD = """
import random, sqlite3, sys, time

other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    other.execute("BEGIN IMMEDIATE")
    other.execute(f"PRAGMA user_version = {random.randrange(1000)}")
    time.sleep(random.uniform(0.05, 0.4))
    other.execute("COMMIT")
    time.sleep(random.uniform(0, 0.2))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("busy") / "todo.db"


@pytest.fixture(scope="module")
def ada(folder: Path, file: Path) -> Iterator[User]:
    with serving(folder, file) as (_, ada):
        yield ada


@contextmanager
def held(file: Path, by: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """The file while another process, this one, is writing to it, without end."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(by)
        yield other


def statuses(ask: Callable[[], httpx.Response], at_once: int) -> set[int]:
    with ThreadPoolExecutor(at_once) as threads:
        return {answer.status_code for answer in threads.map(lambda _: ask(), range(at_once))}


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_reads_succeed_while_a_write_waits_for_another_process(ada: User, file: Path, lock: str):
    with ThreadPoolExecutor(1) as thread, held(file, lock):
        write = thread.submit(ada.post, {"title": "Buy bread"})
        time.sleep(0.2)  # until the request runs
        assert statuses(ada.get, READERS) == {200}
        assert ada.http.get("/health/ready").status_code == 200
        assert ada.http.get("/health/live").status_code == 200
        assert not write.done()
    assert write.result().status_code == 201


def test_writes_that_wait_too_long_are_503_within_five_seconds_and_not_done(ada: User, file: Path):
    before = ada.titles()

    def write(_: int) -> tuple[int, bool]:
        began = time.monotonic()
        answer = ada.post({"title": "Buy bread"})
        return answer.status_code, time.monotonic() - began < 5 and "retry-after" in answer.headers

    with held(file, "BEGIN EXCLUSIVE"), ThreadPoolExecutor(WRITERS) as threads:
        assert set(threads.map(write, range(WRITERS))) == {(503, True)}
    assert ada.titles() == before


def test_every_kind_of_write_waits_for_the_lock_and_is_done_once_it_is_free(ada: User, file: Path):
    task_id = ada.create_task()["id"]
    writes: list[Callable[[], httpx.Response]] = [
        lambda: ada.post({"title": "Buy bread"}),
        lambda: ada.post_with_key("waits-for-the-lock"),
        lambda: ada.put(f"/{task_id}", {"title": "Buy bread"}),
        lambda: ada.patch(f"/{task_id}", {"title": "Buy bread"}),
        lambda: ada.complete(task_id),
    ]
    with ThreadPoolExecutor(len(writes)) as threads, held(file) as other:
        answers = [threads.submit(write) for write in writes]
        time.sleep(0.8)
        assert not any(answer.done() for answer in answers)
        other.rollback()
        assert [answer.result(timeout=1).status_code for answer in answers] == [201, 201, 200, 200, 200]


def test_post_with_a_key_that_was_503_is_stored_once_and_at_once_when_retried(ada: User, file: Path):
    key = "retried-after-a-lock"
    with held(file):
        assert ada.post_with_key(key).status_code == 503
    began = time.monotonic()
    first = ada.post_with_key(key)
    assert time.monotonic() - began < 1
    second = ada.post_with_key(key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert ada.titles().count(key) == 1


def test_every_response_is_a_success_or_503_while_another_process_locks_the_file(
    ada: User, file: Path, is_long: bool
):
    duration_s = 60.0 if is_long else 2.0
    command = [sys.executable, "-c", HOLD, str(file), str(duration_s)]
    others = [subprocess.Popen(command) for _ in range(3)]
    end = time.monotonic() + duration_s

    def write(writer: int) -> dict[str, int]:
        answers = {}
        while time.monotonic() < end:
            title = f"turn {writer}-{len(answers)}"
            answers[title] = ada.post({"title": title}).status_code
        return answers

    with ThreadPoolExecutor(WRITERS) as threads:
        answers = {
            title: status for part in threads.map(write, range(WRITERS)) for title, status in part.items()
        }
    assert [other.wait(timeout=40) for other in others] == [0, 0, 0]
    assert {201} <= set(answers.values()) <= {201, 503}
    acknowledged = {title for title, status in answers.items() if status == 201}
    assert acknowledged == {title for title in ada.titles() if title.startswith("turn")}
