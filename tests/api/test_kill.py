"""A server that is killed loses nothing that it has acknowledged."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.people import SECRET, Person, token
from tests.promises import client_of
from tests.server import Server, running

WRITERS = 8
KILLED_AFTER_S = (0.2, 0.35, 0.5)


def test_every_acknowledged_task_is_there_once_after_a_kill(new_database: Callable[[], str], folder: Path):
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    with ExitStack() as stack:
        server = stack.enter_context(running(folder, **settings))
        for delay_s in KILLED_AFTER_S:
            owner = f"ada-{delay_s}"
            acknowledged = killed_while_writing(server, owner, delay_s)
            server = stack.enter_context(running(folder, **settings))
            stored = titles(server, owner)
            assert acknowledged
            assert len(stored) == len(set(stored))
            assert acknowledged <= set(stored)


def killed_while_writing(server: Server, owner: str, delay_s: float) -> set[str]:
    """The titles that were answered with 201 before the server went."""
    acknowledged: set[str] = set()
    begun = threading.Event()

    def write(writer: int) -> None:
        with client_of(server.url, timeout=5) as http:
            ada = Person(http, owner, token(owner))
            for number in range(100_000):
                title = f"{writer}-{number}"
                try:
                    answer = ada.post({"title": title})
                except httpx.TransportError:
                    return
                assert answer.status_code == 201
                acknowledged.add(title)
                begun.set()

    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write, writer) for writer in range(WRITERS)]
        begun.wait(timeout=10)
        time.sleep(delay_s)
        server.kill()
    for writer in writers:
        writer.result()
    return acknowledged


def titles(server: Server, owner: str) -> list[str]:
    """Of every task, page by page."""
    found: list[str] = []
    with client_of(server.url, headers={"Authorization": f"Bearer {token(owner)}"}) as http:
        path: str | None = f"/api/{owner}/tasks"
        while path:
            answer = http.get(path)
            found += [task["title"] for task in answer.json()]
            path = answer.links.get("next", {}).get("url")
    return found
