"""The command line as a whole: help, exit statuses, and errors in one line that hold no value."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.command_line import call_todo, environment, start_todo
from tests.support.server import ROOT, open_engine
from tests.support.users import SECRET

CANARY = "c4n4ry"
OUTSIDE_ISSUER = {"BETTER_AUTH_SECRET": SECRET}
ADD = (["user", "add", "ada@example.com"], "three green parrots\n", {})
OTHERS = [
    (command, "", OUTSIDE_ISSUER)
    for command in (["user", "remove", "ada", "--yes"], ["export", "ada"], ["import", "ada"])
]


def test_help_imports_no_library_of_the_server():
    help_text = "from cli.__main__ import create_parser; create_parser().format_help()"
    command = [sys.executable, "-c", f"import sys; {help_text}; print(*sys.modules)"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, check=True)
    assert {"connexion", "sqlalchemy", "rich", "httpx"}.isdisjoint(run.stdout.split())


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the tests run from another environment")
def test_script_runs_from_any_folder_reads_its_env_file_and_returns_the_status(tmp_path: Path):
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///here.db\n")
    (tmp_path / "settings.py").write_text("raise SystemExit('not the module of the product')\n")
    script = tmp_path / "linked"
    script.symlink_to(ROOT / "todo")
    for command, status in (("migrate", 0), ("nonsense", 2)):
        ended = subprocess.run([script, command], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=False)
        assert ended.returncode == status
    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize("command", [["export", "ada", "--force"], ["user", "remove", "ada"]])
def test_arguments_that_do_not_apply_here_return_2(tmp_path: Path, command: list[str]):
    ended = call_todo(tmp_path, *command)
    assert (ended.status, ended.output, ended.errors.count("\n")) == (2, "", 1)


def test_unexpected_error_is_one_line_without_a_value(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    with closing(sqlite3.connect(tmp_path / "todo.db")) as connection, connection:
        connection.execute(f"INSERT INTO users VALUES ('ada', NULL, NULL, '{CANARY}')")
    ended = call_todo(tmp_path, "export", "ada")
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert "ValueError at persistence/" in ended.errors
    assert CANARY not in ended.errors


def test_unavailable_database_is_one_line_without_a_value(tmp_path: Path):
    url = f"postgresql://ada:{CANARY}@127.0.0.1:1/todo"
    for command, given, settings in (ADD, *OTHERS, (["migrate"], "", {})):
        ended = call_todo(tmp_path, *command, given=given, DATABASE_URL=url, **settings)
        assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1), command
        assert "DATABASE_URL" in ended.errors
        assert CANARY not in ended.errors


def test_unescaped_password_is_one_line_and_not_repeated(tmp_path: Path):
    ended = call_todo(tmp_path, "migrate", DATABASE_URL=f"postgresql://ada:x@{CANARY}@db.example.com/todo")
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert "DATABASE_URL contains an unencoded @" in ended.errors
    assert CANARY not in ended.errors


def test_wrong_settings_stop_every_command_and_are_all_named(tmp_path: Path):
    wrong = {
        "PORT": CANARY,
        "BETTER_AUTH_SECRET": CANARY,
        "DATABASE_URL": f"mysql://ada:{CANARY}@localhost/todo",
        "CORS_ORIGINS": f"https://{CANARY}.example, *",
    }
    for command in (["serve"], ["migrate"], ["check-config"], ["export", "ada"]):
        ended = call_todo(tmp_path, *command, **wrong)
        assert (ended.status, ended.output) == (1, ""), command
        assert [name for name in wrong if name not in ended.errors] == []
        assert CANARY not in ended.errors


def test_migrate_creates_the_tables_and_can_be_repeated(tmp_path: Path):
    assert call_todo(tmp_path, "migrate").status == 0
    with closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert {("users",), ("tasks",)} <= {*tables}
        before = connection.execute("SELECT * FROM sqlite_master").fetchall()
        assert call_todo(tmp_path, "migrate").status == 0
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_command_creates_no_database(tmp_path: Path):
    for command, given, settings in (ADD, *OTHERS):
        ended = call_todo(tmp_path, *command, given=given, **settings)
        assert ended.status == 1
        assert "todo migrate" in ended.errors
        assert [*tmp_path.iterdir()] == []


def set_schema_version(folder: Path, version: str) -> None:
    call_todo(folder, "migrate")
    engine = open_engine(f"sqlite:///{folder / 'todo.db'}")
    with engine.connect() as connection:
        connection.execute(text(f"UPDATE todo_schema_version SET version_num = '{version}'"))
    engine.dispose()


def test_command_rejects_a_database_with_an_older_schema(tmp_path: Path):
    set_schema_version(tmp_path, "0002")
    ended = call_todo(tmp_path, "export", "ada")
    assert (ended.status, ended.output) == (1, "")
    assert "run `todo migrate`" in ended.errors


def test_command_works_with_a_newer_schema_which_migrate_explains(tmp_path: Path):
    set_schema_version(tmp_path, "9999")
    assert "there is no such user" in call_todo(tmp_path, "export", "ada").errors
    ended = call_todo(tmp_path, "migrate")
    assert ended.status == 0
    assert "schema 9999, of a newer version" in ended.output


def test_closed_pipe_ends_a_command_without_a_message(folder: Path):
    with start_todo(folder, "check-config", "--help") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141
