"""The log of a server that runs on a terminal."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.contract_checks import open_client
from tests.support.server import COMMAND, ROOT, Server, eventually, find_free_port, wait_until_live
from tests.support.users import SECRET, new_user


@contextmanager
def on_a_terminal(folder: Path, **settings: str) -> Iterator[tuple[Server, int]]:
    """A server whose output is a terminal, and the end of that where it is read."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    settings = {"PORT": str(find_free_port()), "BETTER_AUTH_SECRET": SECRET} | settings
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings
    process = subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    nothing = folder / "nothing.log"
    nothing.touch()
    try:
        url = f"http://127.0.0.1:{settings['PORT']}"
        yield wait_until_live(Server(url, process, nothing, settings)), ours
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        os.close(ours)


def shown(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode().replace("\r\n", "\n")
    except BlockingIOError:
        return ""


@pytest.mark.parametrize("no_colour", ["", "1"], ids=["in colour", "NO_COLOR"])
def test_request_is_a_line_that_a_person_can_read(folder: Path, tmp_path: Path, no_colour: str):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "NO_COLOR": no_colour}
    with on_a_terminal(folder, **settings) as (server, terminal), open_client(server.url) as http:
        shown(terminal)
        ada = new_user(http)
        answer = ada.get("/7")
        seen = [""]
        wanted = answer.headers["x-request-id"]

        def is_shown() -> bool:
            seen[0] += shown(terminal)
            return wanted in seen[0]

        assert eventually(is_shown, within_s=5)
    [line] = [line for line in seen[0].splitlines() if wanted in line]
    status = "404" if no_colour else "\033[33m404\033[0m"
    expected = rf"\d\d:\d\d:\d\d {re.escape(status)} GET +tasks\.get +[0-9.]+ ms  {ada.id}  {wanted}"
    assert re.fullmatch(expected, line)
