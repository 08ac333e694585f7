"""Requests that are slow, silent or endless cost the server nothing, and other users do not notice them."""

import contextlib
import json
import secrets
import select
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.test_odd_requests import JSON, TASKS, get, post, promising, request, task
from tests.support.raw_http import RawResponse, connect, exchange, read_response
from tests.support.server import Server, run_server
from tests.support.users import SECRET

MEBIBYTE = 1024 * 1024
POST_ENDLESS = promising("1000")
POST_CHUNKS = request(f"POST {TASKS} HTTP/1.1", JSON, "Transfer-Encoding: chunked")
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A server that waits one second for headers and one second for a body."""
    with run_on_sqlite(folder, HEADER_TIMEOUT="1", BODY_TIMEOUT="1") as server:
        yield server


@pytest.fixture(scope="module")
def patient_server(folder: Path) -> Iterator[Server]:
    """A server with the default deadlines."""
    with run_on_sqlite(folder) as server:
        yield server


@pytest.fixture
def stopped_server(folder: Path) -> Iterator[Server]:
    """A server that the test stops."""
    with run_on_sqlite(folder) as server:
        yield server


def run_on_sqlite(folder: Path, **settings: str) -> contextlib.AbstractContextManager[Server]:
    """Run a server on a new database. The requests of these tests are the same on any database."""
    url = f"sqlite:///{folder / secrets.token_hex(4)}.db"
    return run_server(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET, **settings)


def trickle(connection: socket.socket, raw: bytes, every_s: float = 0.2) -> None:
    """Send a byte at a time until the server responds or closes the connection."""
    with contextlib.suppress(ConnectionError):
        for byte in raw:
            connection.sendall(bytes([byte]))
            if select.select([connection], [], [], every_s)[0]:
                return


def test_silent_connection_is_closed(server: Server):
    with connect(server.url) as connection:
        assert read_response(connection).status is None


def test_half_headers_are_408(server: Server):
    assert_is_timeout(exchange(server.url, get(TASKS)[:-2]))


def test_half_headers_of_a_second_request_are_408(server: Server):
    with connect(server.url) as connection:
        connection.sendall(get(TASKS))
        assert read_response(connection).status == 200
        connection.sendall(get(TASKS)[:-2])
        assert_is_timeout(read_response(connection))


def test_trickled_headers_are_408(server: Server):
    with connect(server.url) as connection:
        trickle(connection, get(TASKS))
        assert_is_timeout(read_response(connection))


def test_line_ends_do_not_keep_a_connection_open(server: Server):
    with connect(server.url) as connection:
        connection.sendall(get(TASKS))
        assert read_response(connection).status == 200
        connection.sendall(b"\r\n")
        assert read_response(connection).status is None


def test_missing_body_is_408(server: Server):
    assert_is_timeout(exchange(server.url, POST_ENDLESS))


def test_trickled_body_is_408(server: Server):
    with connect(server.url) as connection:
        connection.sendall(POST_ENDLESS)
        trickle(connection, b" " * 1000)
        assert_is_timeout(read_response(connection))


def test_deadlines_of_a_request_do_not_apply_to_its_response(server: Server):
    with connect(server.url) as connection:
        connection.sendall(get(TASKS))
        time.sleep(1.2)
        assert read_response(connection).status == 200


@pytest.mark.parametrize(
    "beginning",
    [POST_CHUNKS, request(f"GET {TASKS} HTTP/1.1", "Transfer-Encoding: chunked")],
    ids=["POST", "GET"],
)
def test_memory_stays_flat_while_a_client_sends_64_mib(patient_server: Server, beginning: bytes):
    send(patient_server, POST_CHUNKS, CHUNK)  # once, to have everything in place
    before = read_memory(patient_server)
    sent = sum(send(patient_server, beginning, CHUNK * 16) for _ in range(64))
    assert sent > 0
    assert read_memory(patient_server) - before < 50 * MEBIBYTE


@pytest.mark.parametrize(
    "beginning",
    [get(TASKS)[:-2], POST_CHUNKS + b"0\r\n", get(TASKS, "Transfer-Encoding: chunked") + b"0\r\n"],
    ids=["headers", "trailers", "trailers of a body that is not read"],
)
def test_memory_stays_flat_while_a_header_never_ends(patient_server: Server, beginning: bytes):
    with contextlib.ExitStack() as stack:
        before = read_memory(patient_server)
        for _ in range(4):
            connection = stack.enter_context(connect(patient_server.url, timeout_s=2))
            with contextlib.suppress(ConnectionError, TimeoutError):
                connection.sendall(beginning + b"X-Long: " + b"x" * 16 * MEBIBYTE)
        assert read_memory(patient_server) - before < 50 * MEBIBYTE


def test_half_open_connections_delay_neither_requests_nor_shutdown(
    stopped_server: Server, record_property: Callable[[str, object], None]
):
    quiet = measure_time_s(stopped_server)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(stopped_server.url)).sendall(get(TASKS)[:-2])
        record_property("slower_by", measure_time_s(stopped_server) / quiet)
        stopped_server.process.send_signal(signal.SIGTERM)
        stopped_server.process.wait(timeout=8)


def test_running_request_gets_its_response_after_sigterm(stopped_server: Server):
    raw = post(task())
    with connect(stopped_server.url) as connection:
        connection.sendall(raw[:-5])
        time.sleep(0.2)
        stopped_server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(raw[-5:])
        assert read_response(connection).status == 201
    stopped_server.process.wait(timeout=8)


def test_stalled_request_is_503_at_shutdown(stopped_server: Server):
    with connect(stopped_server.url) as connection:
        connection.sendall(POST_ENDLESS)
        time.sleep(0.2)
        stopped_server.process.send_signal(signal.SIGTERM)
        response = read_response(connection)
    assert (response.status, response.headers["content-type"]) == (503, "application/problem+json")
    stopped_server.process.wait(timeout=8)


def assert_is_timeout(response: RawResponse) -> None:
    assert response.status == 408
    assert response.headers["connection"] == "close"
    assert json.loads(response.body)["request_id"] == response.headers["x-request-id"]


def send(server: Server, beginning: bytes, more: bytes) -> int:
    """Return how many bytes of `more` the server received."""
    with connect(server.url) as connection:
        connection.settimeout(2)
        connection.sendall(beginning)
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(more)
            return len(more)
    return 0


def read_memory(server: Server) -> int:
    """Return the resident bytes of the server process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def measure_time_s(server: Server) -> float:
    """Return the median time of an ordinary request, in seconds."""
    times = []
    for _ in range(50):
        began = time.perf_counter()
        assert exchange(server.url, get(TASKS, "Connection: close")).status == 200
        times.append(time.perf_counter() - began)
    return statistics.median(times)
