"""The command line itself: help, statuses, and that it never shows a traceback or a value."""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from pkgutil import resolve_name

import pytest

from cli.arguments import parser
from tests.support.command_line import environment, start_todo, todo
from tests.support.server import ROOT, start_server, wait_until_live
from tests.support.users import SECRET


def commands(root: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Every command, by what is typed for it."""
    found = {}
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= commands(command) or {command.prog: command}
    return found


COMMANDS = commands(parser())


def test_every_command_has_a_function_and_says_what_it_does():
    assert len(COMMANDS) == 7
    for command in COMMANDS.values():
        assert callable(resolve_name(command.get_default("command")))
        assert command.description


def test_help_needs_no_server():
    script = "import sys; from cli.__main__ import parser; parser().format_help(); print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        check=True,
    )
    assert {"connexion", "sqlalchemy", "rich", "httpx"}.isdisjoint(run.stdout.split())


@pytest.mark.parametrize("arguments", [[], ["user"], ["nonsense"], ["export"], ["export", "ada", "--force"]])
def test_wrong_usage_is_2(folder: Path, arguments: list[str]):
    ended = todo(folder, *arguments)
    assert (ended.status, ended.output) == (2, "")
    assert "todo" in ended.errors


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the tests run from another environment")
def test_script_runs_from_any_folder_and_reads_its_env_file(tmp_path: Path):
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///here.db\n")
    (tmp_path / "settings.py").write_text("raise SystemExit('not the one of the product')\n")
    link = tmp_path / "linked"
    link.symlink_to(ROOT / "todo")
    subprocess.run([link, "migrate"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=True)
    assert (tmp_path / "here.db").exists()


def test_what_nobody_foresaw_is_one_line_without_a_value(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    todo(tmp_path, "migrate", DATABASE_URL=url)
    with closing(sqlite3.connect(tmp_path / "todo.db")) as connection, connection:
        connection.execute("INSERT INTO users VALUES ('ada', NULL, NULL, 'canary')")
    ended = todo(tmp_path, "export", "ada", DATABASE_URL=url)
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert "ValueError" in ended.errors
    assert "canary" not in ended.errors


@pytest.mark.parametrize(
    "command", [["user", "remove", "ada", "--yes"], ["export", "ada"], ["import", "ada"]]
)
def test_database_that_is_away_is_said_in_a_line(folder: Path, command: list[str]):
    url = "postgresql://ada:canary@127.0.0.1:1/todo"
    ended = todo(folder, *command, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert "DATABASE_URL" in ended.errors
    assert "canary" not in ended.errors


def test_database_without_tables_is_left_alone(tmp_path: Path):
    ended = todo(tmp_path, "user", "remove", "ada", "--yes")
    assert ended.status == 1
    assert "todo migrate" in ended.errors
    assert [*tmp_path.iterdir()] == []


def test_ctrl_c_ends_the_server_quietly_with_130(folder: Path, tmp_path: Path):
    server = start_server(folder, DATABASE_URL=f"sqlite:///{tmp_path / 'todo.db'}")
    try:
        wait_until_live(server)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=15) == 130
        assert "Traceback" not in server.log
    finally:
        server.kill()


def test_closed_pipe_ends_quietly(folder: Path):
    with start_todo(folder, "check-config", "--help") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141
