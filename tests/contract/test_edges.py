"""Clients that are slow, silent or endless: they cost the server nothing, and others do not notice them."""

import contextlib
import json
import select
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.test_raw import JSON, TASKS, get, post, promising, request, task
from tests.support.raw_http import RawResponse, connect, exchange, read_response
from tests.support.server import Server, run_server
from tests.support.users import SECRET

MEBIBYTE = 1024 * 1024
POST_ENDLESS = promising("1000")
POST_CHUNKS = request(f"POST {TASKS} HTTP/1.1", JSON, "Transfer-Encoding: chunked")
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that waits one second for headers and one for a body."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "BETTER_AUTH_SECRET": SECRET}
    with run_server(tmp_path, HEADER_TIMEOUT="1", BODY_TIMEOUT="1", **settings) as server:
        yield server


@pytest.fixture
def patient_server(tmp_path: Path) -> Iterator[Server]:
    """A server with the deadlines that it has by default."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "BETTER_AUTH_SECRET": SECRET}
    with run_server(tmp_path, **settings) as server:
        yield server


def trickle(wire: socket.socket, raw: bytes, every_s: float = 0.2) -> None:
    """Send a byte at a time until the server has had enough of it."""
    with contextlib.suppress(ConnectionError):
        for byte in raw:
            wire.sendall(bytes([byte]))
            if select.select([wire], [], [], every_s)[0]:
                return


def test_silent_connection_is_closed(server: Server):
    with connect(server.url) as wire:
        assert read_response(wire).status is None


def test_half_headers_are_408(server: Server):
    assert_is_timeout(exchange(server.url, get(TASKS)[:-2]))


def test_half_headers_of_a_second_request_are_408(server: Server):
    with connect(server.url) as wire:
        wire.sendall(get(TASKS))
        assert read_response(wire).status == 200
        wire.sendall(get(TASKS)[:-2])
        assert_is_timeout(read_response(wire))


def test_trickled_headers_are_408(server: Server):
    with connect(server.url) as wire:
        trickle(wire, get(TASKS))
        assert_is_timeout(read_response(wire))


def test_line_ends_do_not_keep_a_connection(server: Server):
    with connect(server.url) as wire:
        wire.sendall(get(TASKS))
        assert read_response(wire).status == 200
        wire.sendall(b"\r\n")
        assert read_response(wire).status is None


def test_missing_body_is_408(server: Server):
    assert_is_timeout(exchange(server.url, POST_ENDLESS))


def test_trickled_body_is_408(server: Server):
    with connect(server.url) as wire:
        wire.sendall(POST_ENDLESS)
        trickle(wire, b" " * 1000)
        assert_is_timeout(read_response(wire))


def test_deadlines_are_not_for_an_answer(server: Server):
    with connect(server.url) as wire:
        wire.sendall(get(TASKS))
        time.sleep(1.2)
        assert read_response(wire).status == 200


@pytest.mark.parametrize(
    "beginning", [POST_CHUNKS, request(f"GET {TASKS} HTTP/1.1", "Transfer-Encoding: chunked")]
)
def test_memory_stays_flat_while_a_client_sends_64_mib(patient_server: Server, beginning: bytes):
    send(patient_server, POST_CHUNKS, CHUNK)  # once, to have everything in place
    before = memory_of(patient_server)
    sent = sum(send(patient_server, beginning, CHUNK * 16) for _ in range(64))
    assert sent > 0
    assert memory_of(patient_server) - before < 50 * MEBIBYTE


@pytest.mark.parametrize(
    "beginning",
    [get(TASKS)[:-2], POST_CHUNKS + b"0\r\n", get(TASKS, "Transfer-Encoding: chunked") + b"0\r\n"],
    ids=["headers", "trailers", "trailers of a body that is not read"],
)
def test_memory_stays_flat_while_a_header_never_ends(patient_server: Server, beginning: bytes):
    with contextlib.ExitStack() as stack:
        before = memory_of(patient_server)
        for _ in range(4):
            wire = stack.enter_context(connect(patient_server.url, timeout_s=2))
            with contextlib.suppress(ConnectionError, TimeoutError):
                wire.sendall(beginning + b"X-Long: " + b"x" * 16 * MEBIBYTE)
        assert memory_of(patient_server) - before < 50 * MEBIBYTE


def test_half_open_connections_hold_up_nobody(
    patient_server: Server, record_property: Callable[[str, object], None]
):
    quiet = time_of(patient_server)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(patient_server.url)).sendall(get(TASKS)[:-2])
        record_property("slower_by", time_of(patient_server) / quiet)
        patient_server.process.send_signal(signal.SIGTERM)
        patient_server.process.wait(timeout=8)


def test_request_under_way_is_answered_after_sigterm(patient_server: Server):
    raw = post(task())
    with connect(patient_server.url) as wire:
        wire.sendall(raw[:-5])
        time.sleep(0.2)
        patient_server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        wire.sendall(raw[-5:])
        assert read_response(wire).status == 201
    patient_server.process.wait(timeout=8)


def test_request_that_stalls_is_503_at_the_end(patient_server: Server):
    with connect(patient_server.url) as wire:
        wire.sendall(POST_ENDLESS)
        time.sleep(0.2)
        patient_server.process.send_signal(signal.SIGTERM)
        answer = read_response(wire)
    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    patient_server.process.wait(timeout=8)


def assert_is_timeout(answer: RawResponse) -> None:
    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]


def send(server: Server, beginning: bytes, more: bytes) -> int:
    """How many bytes of `more` the server took."""
    with connect(server.url) as wire:
        wire.settimeout(2)
        wire.sendall(beginning)
        with contextlib.suppress(ConnectionError, TimeoutError):
            wire.sendall(more)
            return len(more)
    return 0


def memory_of(server: Server) -> int:
    """Resident bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def time_of(server: Server) -> float:
    """The median time of an ordinary request, in seconds."""
    times = []
    for _ in range(50):
        began = time.perf_counter()
        assert exchange(server.url, get(TASKS, "Connection: close")).status == 200
        times.append(time.perf_counter() - began)
    return statistics.median(times)
