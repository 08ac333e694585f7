"""Clients that do not read their responses use little memory, for a bounded time."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_deadlines import MEBIBYTE, read_memory, run_on_sqlite
from tests.api.test_odd_requests import TASKS, get
from tests.faults.many_tasks import multiply_tasks
from tests.support.contract_checks import open_client
from tests.support.raw_http import connect, exchange, read_response
from tests.support.server import COMMAND, Server, eventually, run_server
from tests.support.users import User, sign_token

PAGE = get(f"{TASKS}?limit=1000")
SMALL = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
UNREAD_S = 10
WATCH_S = 2  # between two looks of the server


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A server whose user has a page of 1000 tasks, 2 MB."""
    with run_on_sqlite(folder) as server:
        with open_client(server.url) as http:
            User(http, "ada", sign_token("ada")).create_task(description="x" * 2000)
        multiply_tasks(server)
        yield server


def count_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def is_aborted(connection: socket.socket) -> bool:
    """Return whether the server has sent a reset; responses before it may still be unread."""
    watch = select.poll()
    watch.register(connection, 0)  # reports errors alone
    return any(event & select.POLLERR for _, event in watch.poll(0))


def test_connection_whose_responses_are_not_read_is_aborted(server: Server):
    exchange(server.url, PAGE)
    memory = read_memory(server)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(server.url)) for _ in range(10)]
        for connection in connections:
            connection.sendall(PAGE * 10)
        time.sleep(WATCH_S)
        assert not any(map(is_aborted, connections))
        assert read_memory(server) - memory < 100 * MEBIBYTE
        assert eventually(lambda: all(map(is_aborted, connections)), within_s=UNREAD_S + 3 * WATCH_S)


def test_client_that_reads_slowly_receives_the_whole_response(server: Server):
    with connect(server.url, timeout_s=5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(get(f"{TASKS}?limit=1000", "Connection: close"))
        received = bytearray()
        until = time.monotonic() + UNREAD_S + 3 * WATCH_S
        while time.monotonic() < until:  # 20 kB/s
            received += connection.recv(2_000)
            time.sleep(0.1)
        while more := connection.recv(65_536):
            received += more
    assert len(json.loads(received.partition(b"\r\n\r\n")[2])) == 1000


def test_pipelined_requests_that_are_not_read_hold_less_than_a_mebibyte_each(server: Server):
    memory = read_memory(server)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(connect(server.url))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.send(get("/docs/swagger-ui-bundle.js") + SMALL * 9_600)
        time.sleep(2)  # for the server to do all that it does
        assert read_memory(server) - memory < 10 * MEBIBYTE


def test_disconnect_with_requests_pipelined_behind_logs_no_error(server: Server):
    logged = len(server.log)
    for _ in range(3):
        with connect(server.url) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with RST
            connection.sendall(PAGE + get(TASKS) * 150)
            time.sleep(0.1)
    assert exchange(server.url, get(TASKS)).status == 200
    assert '"level":"error"' not in server.log[logged:]
    assert "Traceback" not in server.log[logged:]


def test_connections_over_the_limit_are_503_until_another_one_is_closed(folder: Path):
    with run_on_sqlite(folder, MAX_CONNECTIONS="8") as server, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(server.url)) for _ in range(8)]
        assert eventually(lambda: exchange(server.url, SMALL).status == 503, within_s=2)
        rejected = exchange(server.url, SMALL)
        problem = json.loads(rejected.body)
        assert (rejected.status, problem["type"]) == (503, "urn:todo:problem:unavailable")
        assert (rejected.headers["retry-after"], rejected.headers["connection"]) == ("2", "close")
        for connection in connections:
            connection.sendall(SMALL)
            assert read_response(connection).status == 404
        connections[0].close()
        assert eventually(lambda: exchange(server.url, SMALL).status == 404, within_s=2)


def test_limit_is_lowered_to_the_files_of_the_process(folder: Path):
    command = ("sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *COMMAND)
    with run_server(folder, command) as server, contextlib.ExitStack() as stack:
        assert '"max_connections":56,"rlimit_nofile":128' in server.log
        for _ in range(150):
            stack.enter_context(connect(server.url))
        time.sleep(0.5)
        assert count_files(server) < 128
        stack.close()
        assert eventually(lambda: exchange(server.url, SMALL).status == 404, within_s=5)
        assert '"level":"error"' not in server.log
