"""Commands that are killed or interrupted, and run again."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.command_line import call_todo, start_todo
from tests.support.databases import on_sqlite
from tests.support.server import open_engine
from tests.support.users import SECRET

TASKS = 16_000  # PostgreSQL deletes a thousand in some 5 ms
REMOVE = ("user", "remove", "ada", "--yes")


@pytest.fixture
def settings(new_database: Callable[[], str], folder: Path) -> dict[str, str]:
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    call_todo(folder, "migrate", **settings)
    return settings


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The path of a file with TASKS tasks."""
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps({"title": f"Task {number}"}) + "\n" for number in range(TASKS)))
    return str(file)


def count(connection: Connection, what: str = "*", of: str = "tasks") -> int:
    return int(connection.execute(text(f"SELECT count({what}) FROM {of}")).scalar_one())


def send_signal_once(
    condition: Callable[[], bool], process: subprocess.Popen[str], number: signal.Signals
) -> int:
    """Send the signal as soon as `condition` is true, and return the exit status."""
    with process:
        while not condition():  # without a pause: a fast command would end during one
            assert process.poll() is None, process.communicate()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert errors == ""
        return process.returncode


def interrupt_and_repeat(settings: dict[str, str], folder: Path, file: str, number: signal.Signals) -> int:
    """Interrupt an import and a removal, repeat each, check the rows, and return the first exit status."""
    engine = open_engine(settings["DATABASE_URL"])
    with engine.connect() as connection:
        importing = start_todo(folder, "import", "ada", file, **settings)
        status = send_signal_once(lambda: count(connection) > 0, importing, number)
        half = count(connection)
        assert 0 < half < TASKS
        again = call_todo(folder, "import", "ada", file, **settings)
        assert again.output == f"imported {TASKS - half} of {TASKS} tasks\n", again.errors
        assert count(connection) == count(connection, "DISTINCT title") == TASKS
        assert count(connection, of="import_progress") == 0
        assert call_todo(folder, "import", "ada", file, **settings).status == 1

        removing = start_todo(folder, *REMOVE, **settings)
        assert send_signal_once(lambda: count(connection) < TASKS, removing, number) == status
        assert 0 < count(connection) < TASKS
        assert count(connection, of="users") == 1
        assert call_todo(folder, *REMOVE, **settings).status == 0
        assert [count(connection, of=table) for table in ("tasks", "import_progress", "users")] == [0, 0, 0]
    engine.dispose()
    return status


def test_killed_import_and_removal_continue_when_repeated(settings: dict[str, str], folder: Path, file: str):
    assert interrupt_and_repeat(settings, folder, file, signal.SIGKILL) == -signal.SIGKILL


@on_sqlite
def test_import_and_removal_stopped_by_ctrl_c_continue_when_repeated(
    settings: dict[str, str], folder: Path, file: str
):
    assert interrupt_and_repeat(settings, folder, file, signal.SIGINT) == 130
