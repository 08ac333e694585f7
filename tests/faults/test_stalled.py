"""SIGTERM while clients stall in every way there is: the process ends all the same."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.many_tasks import multiply_tasks
from tests.support.contract_checks import open_client
from tests.support.raw_http import read_response
from tests.support.server import Server, eventually, start_server, wait_until_live
from tests.support.users import SECRET, User, sign_token

ENDS_WITHIN_S = 16  # 8 are promised; here eight servers end at once, on a machine that runs other tests too
OWNER = "ada"
HEAD = f"Host: todo.example\r\nAuthorization: Bearer {sign_token(OWNER)}\r\n"
IDLE = b"GET /health/live HTTP/1.1\r\nHost: todo.example\r\n\r\n"
BODY_DUE = "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n"
STALLS = {
    "silent from the beginning": b"",
    "idle and kept alive": IDLE,
    "half a request line": b"GET /health/li",
    "half of the headers": b"GET /health/live HTTP/1.1\r\nHost: todo.exa",
    "a body that does not come": f"POST /api/{OWNER}/tasks HTTP/1.1\r\n{HEAD}{BODY_DUE}".encode(),
    "half a body": f"POST /api/{OWNER}/tasks HTTP/1.1\r\n{HEAD}{BODY_DUE}{{".encode(),
    "an answer that is not read": f"GET /api/{OWNER}/tasks HTTP/1.1\r\n{HEAD}\r\n".encode(),
}
ALONE = [name for name in STALLS if name not in {"silent from the beginning", "half a body"}]
CASES = [*ALONE, "all at once", "all at once, two workers"]


@dataclass
class Stopped:
    """How a server ended that its clients had stalled, and those clients."""

    status: int | None
    log: str
    wires: dict[str, socket.socket]


def stalled(server: Server, name: str) -> socket.socket:
    """Open a connection with a small receive buffer, so that a long response blocks."""
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.settimeout(15)
    address = urlsplit(server.url)
    wire.connect((address.hostname, address.port))
    wire.sendall(STALLS[name])
    if name == "idle and kept alive":
        assert read_response(wire).status == 200
    return wire


def has_long_list(server: Server) -> None:
    """Create 1024 tasks of 8 MB in total, more than the system buffers for a client that does not read."""
    with open_client(server.url) as http:
        User(http, OWNER, sign_token(OWNER)).create_task("\N{PARROT}" * 200, description="\N{PARROT}" * 2000)
    multiply_tasks(server)


def status_of(server: Server, deadline: float) -> int | None:
    """That of the process, None when it has not ended by then."""
    eventually(lambda: server.process.poll() is not None, deadline - time.monotonic())
    return server.process.returncode


@pytest.fixture(scope="module")
def all_stopped(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stopped]]:
    """A server for each case, stopped together, so that their grace periods overlap."""
    with ExitStack() as stack:
        servers = {}
        for case in CASES:
            file = tmp_path_factory.mktemp("stalled") / "todo.db"
            servers[case] = start_server(
                folder,
                DATABASE_URL=f"sqlite:///{file}",
                BETTER_AUTH_SECRET=SECRET,
                WORKERS="2" if "two workers" in case else "1",
            )
            stack.callback(servers[case].kill)
        wires = {}
        for case, server in servers.items():
            wait_until_live(server)
            names = [case] if case in STALLS else [*STALLS]
            if "an answer that is not read" in names:
                has_long_list(server)
            wires[case] = {name: stack.enter_context(closing(stalled(server, name))) for name in names}
        time.sleep(0.5)  # for all of it to arrive
        for server in servers.values():
            server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + ENDS_WITHIN_S
        yield {
            case: Stopped(status_of(server, deadline), server.log, wires[case])
            for case, server in servers.items()
        }


@pytest.mark.parametrize("case", CASES)
def test_the_process_ends_with_status_0(all_stopped: dict[str, Stopped], case: str):
    assert all_stopped[case].status == 0, all_stopped[case].log


@pytest.mark.parametrize("case", CASES)
def test_supervisor_ends_without_a_traceback(all_stopped: dict[str, Stopped], case: str):
    assert "Traceback" not in all_stopped[case].log


@pytest.mark.parametrize("case", [case for case in CASES if "body" in case or "all" in case])
def test_unfinished_body_gets_a_problem_at_shutdown(all_stopped: dict[str, Stopped], case: str):
    answer = read_response(all_stopped[case].wires["a body that does not come"])
    assert answer.status in {408, 503}
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.body) == int(answer.headers["content-length"])


def test_idle_connection_is_closed_at_shutdown(all_stopped: dict[str, Stopped]):
    for name in ("silent from the beginning", "idle and kept alive", "half a request line"):
        assert all_stopped["all at once"].wires[name].recv(4096) == b""
