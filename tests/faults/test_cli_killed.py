"""Commands that are killed in the middle, and run again."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.command_line import start_todo, todo
from tests.support.server import open_engine
from tests.support.users import SECRET

TASKS = 16_000  # PostgreSQL deletes a thousand in some 5 ms


@pytest.fixture
def settings(new_database: Callable[[], str], folder: Path) -> dict[str, str]:
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    todo(folder, "migrate", **settings)
    return settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps({"title": f"Task {number}"}) + "\n" for number in range(TASKS)))
    return file


def count(connection: Connection, what: str = "*", of: str = "tasks") -> int:
    return int(connection.execute(text(f"SELECT count({what}) FROM {of}")).scalar_one())


def ended_once(process: subprocess.Popen[str], condition: Callable[[], bool], number: signal.Signals) -> int:
    """How the command ended that was sent this signal as soon as that was so."""
    with process:
        while not condition():  # without a pause, in which a fast command would come to its end
            assert process.poll() is None, process.communicate()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert errors == ""
        return process.returncode


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_import_goes_on_where_it_was_and_removal_too(
    settings: dict[str, str], folder: Path, file: Path, number: signal.Signals, status: int
):
    engine = open_engine(settings["DATABASE_URL"])
    with engine.connect() as connection:
        importing = start_todo(folder, "import", "ada", str(file), **settings)
        assert ended_once(importing, lambda: count(connection) > 0, number) == status
        half = count(connection)
        assert 0 < half < TASKS
        again = todo(folder, "import", "ada", str(file), **settings)
        assert again.output == f"imported {TASKS - half} of {TASKS} tasks\n", again.errors
        assert count(connection) == count(connection, "DISTINCT title") == TASKS
        assert count(connection, of="idempotency_keys") == 0
        assert todo(folder, "import", "ada", str(file), **settings).status == 1

        removing = start_todo(folder, "user", "remove", "ada", "--yes", **settings)
        assert ended_once(removing, lambda: count(connection) < TASKS, number) == status
        assert 0 < count(connection) < TASKS
        assert count(connection, of="users") == 1
        assert todo(folder, "user", "remove", "ada", "--yes", **settings).status == 0
        assert [count(connection, of=table) for table in ("tasks", "idempotency_keys", "users")] == [0, 0, 0]
    engine.dispose()
