"""SIGTERM: running requests get responses, new connections are rejected, the process ends within 8 s."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.faults.many_tasks import multiply_tasks
from tests.support.contract_checks import open_client
from tests.support.raw_http import connect, exchange
from tests.support.server import Server, eventually, run_server
from tests.support.users import SECRET, User, new_user, sign_token

ENDS_WITHIN_S = 8
CLIENTS = 4
DUE_S = 0.3  # requests that were sent so long before the signal have arrived

Serving = AbstractContextManager[Server]


@dataclass
class Exchange:
    """A request sent whole on a connection that is kept, and all that came back."""

    sent_at: float
    received: bytes = b""

    @property
    def is_whole(self) -> bool:
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: ([0-9]+)", head)
        return length is not None and len(body) == int(length[1])

    @property
    def status(self) -> int:
        return int(self.received.split(b" ")[1])


@dataclass
class Load:
    """The requests of clients, each on one connection, until the server closes it."""

    exchanges: list[Exchange] = field(default_factory=list)

    def run(self, url: str, request: bytes) -> None:
        with connect(url) as wire, suppress(ConnectionError):
            while True:
                asked = Exchange(time.monotonic())
                wire.sendall(request)
                self.exchanges.append(asked)
                while not asked.is_whole and (more := wire.recv(65_536)):
                    asked.received += more
                if not asked.is_whole:
                    return


def settings_of(database_url: str, workers: str = "1") -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "WORKERS": workers,
    }


@pytest.fixture
def serving(new_database: Callable[[], str], folder: Path) -> Callable[..., Serving]:
    """Starts a server with so many workers."""
    return lambda workers="1": run_server(folder, **settings_of(new_database(), workers))


def requests_of(owner: str) -> list[bytes]:
    head = f"Host: todo.example\r\nAuthorization: Bearer {sign_token(owner)}\r\n"
    body = "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n" + '{"title":"Buy milk"}'
    return [
        f"GET /api/{owner}/tasks HTTP/1.1\r\n{head}\r\n".encode(),
        f"POST /api/{owner}/tasks HTTP/1.1\r\n{head}{body}".encode(),
    ]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_received_request_gets_a_complete_response_at_shutdown_under_load(
    serving: Callable[..., Serving], workers: str
):
    load = Load()
    with serving(workers) as server, ThreadPoolExecutor(CLIENTS) as threads:
        read, write = requests_of("ada")
        exchange(server.url, write)
        multiply_tasks(server)  # responses so slow that some are always in progress
        clients = [threads.submit(load.run, server.url, read if n % 4 else write) for n in range(CLIENTS)]
        time.sleep(0.7)
        told_at = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=ENDS_WITHIN_S) == 0
    for client in clients:
        client.result()
    assert len([found for found in load.exchanges if found.is_whole]) > CLIENTS
    assert [found for found in load.exchanges if found.received and not found.is_whole] == []
    assert [found for found in load.exchanges if found.sent_at < told_at - DUE_S and not found.received] == []
    assert {found.status for found in load.exchanges if found.is_whole} <= {200, 201, 503}


@contextmanager
def writes_held(server: Server) -> Iterator[Callable[[], None]]:
    """Lock the database for writes until the yielded function is called."""
    with server.database() as other:
        is_sqlite = other.dialect.name == "sqlite"
        other.execute(text("BEGIN IMMEDIATE" if is_sqlite else "BEGIN"))
        if not is_sqlite:
            other.execute(text("LOCK TABLE tasks IN EXCLUSIVE MODE"))
        held = True

        def release() -> None:
            nonlocal held
            if held:
                other.execute(text("ROLLBACK"))
            held = False

        yield release
        release()


@contextmanager
def waiting(ada: User, count: int = 4) -> Iterator[list[Callable[[], httpx.Response]]]:
    """The responses to requests that wait for the database."""
    with ThreadPoolExecutor(count) as threads:
        answers = [
            threads.submit(ada.post_with_key, f"key-{n}")
            if n % 2
            else threads.submit(ada.post, {"title": "a"})
            for n in range(count)
        ]
        time.sleep(0.3)  # for them to arrive
        assert not any(answer.done() for answer in answers)
        yield [answer.result for answer in answers]


def is_refused(url: str) -> bool:
    try:
        with connect(url, timeout_s=1):
            return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize("is_freed", [True, False], ids=["freed in time", "never freed"])
def test_writes_that_wait_for_the_database_get_responses_before_shutdown(
    serving: Callable[..., Serving], is_freed: bool
):
    with serving() as server, open_client(server.url) as http:
        ada = new_user(http)
        ada.create_task()
        with writes_held(server) as release, waiting(ada) as answers:
            told_at = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert server.process.poll() is None
            if is_freed:
                release()
            statuses = {answer().status_code for answer in answers}
        assert statuses == ({201} if is_freed else {503})
        assert server.process.wait(timeout=ENDS_WITHIN_S) == 0
        assert time.monotonic() - told_at < ENDS_WITHIN_S


@pytest.mark.parametrize("workers", ["1", "2"])
def test_new_connections_are_rejected_while_running_requests_get_their_responses(
    folder: Path, tmp_path: Path, workers: str
):
    settings = settings_of(f"sqlite:///{tmp_path / 'todo.db'}", workers)
    with run_server(folder, **settings) as server, open_client(server.url) as http:
        ada = new_user(http)
        ada.create_task()
        assert eventually(
            lambda: server.log.count("Application startup complete") == int(workers), within_s=10
        )
        with writes_held(server) as release, waiting(ada) as answers:
            server.process.send_signal(signal.SIGTERM)
            is_closed = eventually(lambda: is_refused(server.url), within_s=1.5)
            is_over = server.process.poll() is not None
            release()
            assert {answer().status_code for answer in answers} <= {201, 503}
        assert (is_closed, is_over) == (True, False)
