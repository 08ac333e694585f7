"""The log of a server that runs at a terminal."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.contract_checks import open_client
from tests.support.server import COMMAND, ROOT, Server, eventually, find_free_port, wait_until_live
from tests.support.users import SECRET, new_user


@contextmanager
def run_at_terminal(folder: Path, **settings: str) -> Iterator[tuple[Server, int]]:
    """Run a server whose output is a terminal, and yield the descriptor that reads it."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    settings = {"PORT": str(find_free_port()), "BETTER_AUTH_SECRET": SECRET} | settings
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings
    process = subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    no_log = folder / "no.log"
    no_log.touch()
    try:
        url = f"http://127.0.0.1:{settings['PORT']}"
        yield wait_until_live(Server(url, process, no_log, settings)), ours
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        os.close(ours)


def read_terminal(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode().replace("\r\n", "\n")
    except BlockingIOError:
        return ""


def read_line_of_request(server: Server, terminal: int) -> tuple[str, str, str]:
    """Send a request that returns 404. Return its log line, its user and its id."""
    shown = ""
    with open_client(server.url) as http:
        ada = new_user(http)
        request_id = ada.get("/7").headers["x-request-id"]

    def is_shown() -> bool:
        nonlocal shown
        shown += read_terminal(terminal)
        return request_id in shown

    assert eventually(is_shown, within_s=5)
    [line] = [line for line in shown.splitlines() if request_id in line]
    return line, ada.id, request_id


def test_request_is_one_readable_line_in_colour_unless_no_color_is_set(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    for no_color, status in (("", "\033[33m404\033[0m"), ("1", "404")):
        with run_at_terminal(tmp_path, DATABASE_URL=url, NO_COLOR=no_color) as (server, terminal):
            line, user, request_id = read_line_of_request(server, terminal)
        expected = rf"\d\d:\d\d:\d\d {re.escape(status)} GET +tasks\.get +[0-9.]+ ms  {user}  {request_id}"
        assert re.fullmatch(expected, line)
