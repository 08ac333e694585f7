"""Unread standard output: the server continues, and its log records are written when the output is read."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.server import ROOT, Server, run_server
from tests.support.users import SECRET, User, new_user

ENDS_WITHIN_S = 8
PIPE_BYTES = 4096  # about 13 records
REQUESTS = 60
TITLE = "Feed the parrot"
RAISE = """
import logging
from observability import logs

logs.configure("INFO", version="1", with_colour=False, is_queued=True)
for number in range(1000):
    logging.info("record %s", number)
raise RuntimeError
"""

Start = Callable[[str], AbstractContextManager[tuple[Server, User, int]]]


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Start:
    """Start a server with so many workers and a small pipe as its standard output.

    Yield the server, a user whose second task of a title is an error, and the reading end of the pipe.
    """

    @contextmanager
    def start(workers: str) -> Iterator[tuple[Server, User, int]]:
        pipe = tmp_path / "log"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(reader, True)
        command = ("sh", "-c", f'exec "$0" -m cli serve >"{pipe}"', sys.executable)
        settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "BETTER_AUTH_SECRET": SECRET}
        with (
            run_server(folder, command, WORKERS=workers, **settings) as server,
            httpx.Client(base_url=server.url, timeout=20) as http,
            server.database() as connection,
        ):
            ada = new_user(http)
            ada.create_task(TITLE)
            connection.execute(text("CREATE UNIQUE INDEX one_title ON tasks (title)"))
            yield server, ada, reader
        os.close(reader)

    return start


def send_requests(ada: User) -> list[str]:
    """Send requests, the last of which is an error, and return the ids that the log should have."""
    responses = [ada.get() for _ in range(REQUESTS)]
    assert {response.status_code for response in responses} == {200}
    responses.append(ada.post({"title": TITLE}))
    assert responses[-1].status_code == 500
    return [response.headers["x-request-id"] for response in responses]


def read_records(reader: int) -> list[dict[str, Any]]:
    """Read the log until its end."""
    with os.fdopen(os.dup(reader), "rb") as log:
        return [json.loads(line) for line in log]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_responds_and_ends_on_sigterm_with_an_unread_log(start: Start, workers: str):
    with start(workers) as (server, ada, _):
        send_requests(ada)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=ENDS_WITHIN_S) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_records_before_sigterm_are_written_in_order_when_the_output_is_read(start: Start, workers: str):
    with start(workers) as (server, ada, reader):
        request_ids = send_requests(ada)
        server.process.send_signal(signal.SIGTERM)
        records = read_records(reader)
        assert server.process.wait(timeout=ENDS_WITHIN_S) == 0
    logged = [record for record in records if record.get("request_id") in request_ids]
    assert [record["request_id"] for record in logged if record["event"] == "request"] == request_ids
    [error] = [record for record in logged if record["level"] == "error"]
    assert "Traceback" in error["exception"]
    assert any(record["event"].startswith("Finished server process") for record in records)


def test_records_before_an_unhandled_exception_are_written_when_the_output_is_read():
    with subprocess.Popen(
        (sys.executable, "-c", RAISE), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"Traceback" in process.stderr.readline()
        records = [json.loads(line)["event"] for line in process.stdout]
        assert b"RuntimeError" in process.stderr.read()
    assert records == [f"record {number}" for number in range(1000)]
    assert process.returncode == 1
