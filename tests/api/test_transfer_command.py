"""`todo export` and `todo import`: a user's data leaves whole and returns unchanged."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli import import_lines
from contract.problems import KeyInUse
from persistence import imports
from persistence.database import Database
from tests.support.command_line import Finished, call_todo, start_todo
from tests.support.databases import on_sqlite, run_on
from tests.support.server import Server
from tests.support.users import SECRET, User

TASK = {"title": "Buy milk"}
FIRST_TIME = "2021-01-01T00:00:00Z"
FILE = [
    {
        "title": "Ünïcode 🥛",
        "created_at": "2020-02-29T23:59:59.000001Z",
        "updated_at": "2021-01-01T00:00:00Z",
    },
    {"title": "Alike, first", "created_at": FIRST_TIME, "updated_at": FIRST_TIME},
    {"title": "Alike, second", "created_at": FIRST_TIME, "updated_at": "2026-01-01T00:00:00Z"},
    *(
        {
            "title": f"Task {number}",
            "description": "x" * (number % 3) or None,
            "completed": number % 2 == 0,
            "created_at": f"2022-01-01T00:{number // 60:02}:{number % 60:02}Z",
            "updated_at": f"2022-01-01T01:{number // 60:02}:{number % 60:02}.500000Z",
        }
        for number in range(2050)  # more than two pages, two batches and a rest
    ),
]


def to_lines(tasks: list[Any]) -> str:
    return "".join(json.dumps(task) + "\n" for task in tasks)


def parse_export(output: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the user, and the tasks without the members that the server sets."""
    user, *tasks = [json.loads(line) for line in output.splitlines()]
    return user, [{k: v for k, v in task.items() if k not in {"id", "user_id"}} for task in tasks]


class Commands:
    """Runs commands for the users of an outside issuer, on a database that no server uses."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        self.settings = {"DATABASE_URL": database_url, "BETTER_AUTH_SECRET": SECRET}
        assert self.run("migrate").status == 0

    def run(self, *arguments: str, given: str = "") -> Finished:
        return call_todo(self.folder, *arguments, given=given, **self.settings)

    def tasks_of(self, user_id: str) -> list[dict[str, Any]]:
        return parse_export(self.run("export", user_id).output)[1]


@pytest.fixture(scope="module")
def commands(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(new_database(), tmp_path_factory.mktemp("transfer"))


def test_export_is_what_the_api_returns(secret_server: Server, ada: User, folder: Path):
    created = [ada.create_task("Ünïcode", description=None), ada.create_task("Second", completed=True)]
    ended = call_todo(folder, "export", ada.id, DATABASE_URL=secret_server.settings["DATABASE_URL"])
    assert (ended.status, ended.errors) == (0, "")
    user, *tasks = [json.loads(line) for line in ended.output.splitlines()]
    assert tasks == created == ada.get(order="asc").json()
    assert {**user, "created_at": ...} == {"type": "user", "id": ada.id, "email": None, "created_at": ...}


def test_exported_tasks_return_unchanged(commands: Commands):
    assert commands.run("import", "ada", given=to_lines(FILE)).output == "imported 2053 of 2053 tasks\n"
    first = commands.run("export", "ada")
    user, tasks = parse_export(first.output)
    assert user["id"] == "ada"
    assert tasks == [{"description": None, "completed": False, "version": 1} | task for task in FILE]
    assert commands.run("user", "remove", "ada", "--yes").status == 0
    assert commands.run("export", "ada").status == 1
    assert commands.run("import", "ada", given=first.output).status == 0
    assert commands.tasks_of("ada") == tasks


def test_second_import_is_rejected_without_add(commands: Commands):
    twice = to_lines([TASK, TASK])
    assert commands.run("import", "bob", given=twice).status == 0
    rejected = commands.run("import", "bob", given=twice)
    assert (rejected.status, rejected.errors.count("\n")) == (1, 1)
    assert "--add" in rejected.errors
    assert commands.run("import", "--add", "bob", given=twice).output == "imported 2 of 2 tasks\n"
    assert len(commands.tasks_of("bob")) == 4


@on_sqlite
def test_one_bad_line_stores_nothing(commands: Commands):
    ended = commands.run("import", "eve", given=to_lines([TASK] * 1500 + [{"title": "canary" * 40}]))
    assert ended == (1, "", "todo: line 1501: title: at most 200 characters\n")
    assert commands.run("export", "eve").status == 1


def test_import_creates_no_account(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    ended = call_todo(tmp_path, "import", "missing", given=to_lines([TASK]))
    assert ended == (1, "", "todo: there is no such user\n")


def test_batch_that_two_imports_store_at_once_is_stored_once(commands: Commands):
    for user_id in ("gus", "hal"):
        commands.run("import", user_id, given=to_lines([TASK]))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    batch = [imports.NewTask(f"Task {number}", None, False, now, now) for number in range(250)]

    async def store_at_once(db: Database) -> None:
        for user_id in ("gus", "hal"):
            assert await imports.begin(db, user_id, "file", now) is None
        store = partial(imports.store, db, "gus", batch, file="file", before=0, now=now)
        await asyncio.gather(store(), store())
        with pytest.raises(KeyInUse):
            await imports.store(db, "gus", batch[:50], file="file", before=0, now=now)
        await imports.store(db, "hal", batch[:50], file="file", before=0, now=now)
        await imports.remove_progress(db, "hal", "file")
        assert await imports.begin(db, "gus", "file", now) == len(batch)

    run_on(commands.settings["DATABASE_URL"], store_at_once)
    titles = [task["title"] for task in commands.tasks_of("gus")]
    assert sorted(titles) == sorted(["Buy milk", *(task.title for task in batch)])
    assert len(commands.tasks_of("hal")) == 51


def test_import_that_was_interrupted_for_more_than_a_day_begins_again(commands: Commands):
    commands.run("import", "ida", given=to_lines([TASK]))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    batch = [imports.NewTask("Buy oats", None, False, now, now)]

    async def begin_again(db: Database) -> list[int | None]:
        await imports.begin(db, "ida", "file", now)
        await imports.store(db, "ida", batch, file="file", before=0, now=now)
        ages = (timedelta(hours=24), timedelta(hours=24, seconds=1), timedelta(hours=24, seconds=2))
        return [await imports.begin(db, "ida", "file", now + age) for age in ages]

    assert run_on(commands.settings["DATABASE_URL"], begin_again) == [1, None, 0]


def test_two_imports_of_one_file_at_once_store_each_task_once(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
):
    read_batches = import_lines.CheckedTasks.batches

    def read_batches_after_another_import(*arguments: Any, **options: Any) -> Iterator[Any]:
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(commands.run, "import", "two", given=to_lines([TASK])).result().status == 0
        yield from read_batches(*arguments, **options)

    monkeypatch.setattr(import_lines.CheckedTasks, "batches", read_batches_after_another_import)
    overtaken = commands.run("import", "two", given=to_lines([TASK]))
    assert (overtaken.status, overtaken.errors) == (1, "todo: the same file is being imported elsewhere\n")
    assert len(commands.tasks_of("two")) == 1


def test_export_during_changes_has_every_unchanged_task_once(secret_server: Server, ada: User, folder: Path):
    settings = {k: secret_server.settings[k] for k in ("DATABASE_URL", "BETTER_AUTH_SECRET")}
    call_todo(folder, "import", ada.id, given=to_lines(FILE), **settings)
    changed = [task["id"] for task in ada.get(limit=1000).json()][::20]
    is_over = threading.Event()

    def change_tasks() -> None:
        for number, task_id in enumerate(changed):
            if is_over.is_set():
                return
            ada.delete(f"/{task_id}") if number % 2 else ada.complete(task_id)
            ada.create_task()

    with ThreadPoolExecutor(1) as thread:
        changing = thread.submit(change_tasks)
        exported = call_todo(folder, "export", ada.id, **settings).output
        is_over.set()
    assert changing.exception() is None
    ids = [json.loads(line)["id"] for line in exported.splitlines()][1:]
    assert len(ids) == len({*ids})
    assert {task["id"] for task in ada.list_all(order="asc")[:2000]} - {*changed} <= {*ids}


@on_sqlite
def test_exported_file_is_private_and_never_half_written(commands: Commands):
    assert commands.run("import", "carol", given=to_lines([TASK])).status == 0
    file = commands.folder / "carol.jsonl"
    file.write_text("before")
    assert commands.run("export", "carol", "--output", str(file)).status == 1
    assert commands.run("export", "missing", "--output", str(file), "--force").status == 1
    assert commands.run("export", "carol", "--output", str(file.parent), "--force").status == 1
    assert file.read_text() == "before"
    assert commands.run("export", "carol", "--output", str(file), "--force").status == 0
    assert len(file.read_text().splitlines()) == 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in commands.folder.iterdir() if "carol" in found.name] == ["carol.jsonl"]


@on_sqlite
def test_file_that_appears_during_the_export_is_not_overwritten(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    commands.run("import", "fay", given=to_lines([TASK]))
    file = tmp_path / "fay.jsonl"
    monkeypatch.setattr(os, "fsync", lambda _file: file.write_text("appeared"))
    assert commands.run("export", "fay", "--output", str(file)).status == 1
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("fay.jsonl", "appeared")]


@on_sqlite
def test_progress_is_shown_at_a_terminal(commands: Commands):
    commands.run("import", "dora", given=to_lines([TASK] * 1500))
    export = ("export", "dora", "--output", "dora.jsonl")
    ended = call_todo(commands.folder, *export, is_terminal=True, **commands.settings)
    assert (ended.status, ended.output) == (0, "")
    assert "Exporting tasks" in ended.errors
    assert "100%" in ended.errors
    assert len((commands.folder / "dora.jsonl").read_text().splitlines()) == 1501


@on_sqlite
def test_reader_that_closes_the_pipe_ends_the_export_without_a_message(commands: Commands):
    commands.run("import", "emil", given=to_lines([TASK] * 1500))
    with start_todo(commands.folder, "export", "emil", **commands.settings) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141
