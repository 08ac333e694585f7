"""`todo export` and `todo import`: a person's data comes out whole, and goes back in as it was."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import lines
from cli.failures import Failure
from tests.support.command_line import Finished, Terminal, start_todo, todo
from tests.support.server import Server
from tests.support.users import SECRET, User

TASK = {"title": "Buy milk"}
FILE = [
    {
        "title": "Ünïcode 🥛",
        "created_at": "2020-02-29T23:59:59.000001Z",
        "updated_at": "2021-01-01T00:00:00Z",
    },
    {"title": "Alike, first", "created_at": "2021-01-01T00:00:00Z", "updated_at": "2021-01-01T00:00:00Z"},
    {"title": "Alike, second", "created_at": "2021-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"},
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


def jsonl(tasks: list[Any]) -> str:
    return "".join(json.dumps(task) + "\n" for task in tasks)


def parts(exported: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The person, and the tasks without what is the server's to say."""
    person, *tasks = [json.loads(line) for line in exported.splitlines()]
    return person, [{k: v for k, v in task.items() if k not in {"id", "user_id"}} for task in tasks]


@pytest.fixture(scope="module")
def run(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs commands on a database of their own, for the users of an outside issuer."""
    folder = tmp_path_factory.mktemp("transfer")
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    todo(folder, "migrate", **settings)

    def command(*arguments: str, given: str = "") -> Finished:
        return todo(folder, *arguments, given=given, **settings)

    command.folder, command.settings = folder, settings
    return command


def test_export_is_what_the_api_gives(secret_server: Server, ada: User, folder: Path):
    given = [ada.create_task("Ünïcode", description=None), ada.create_task("Second", completed=True)]
    ended = todo(folder, "export", ada.id, DATABASE_URL=secret_server.settings["DATABASE_URL"])
    assert (ended.status, ended.errors) == (0, "")
    person, *tasks = [json.loads(line) for line in ended.output.splitlines()]
    assert tasks == given == ada.get(order="asc").json()
    assert {**person, "created_at": ...} == {"type": "user", "id": ada.id, "email": None, "created_at": ...}


def test_export_and_import_are_the_way_there_and_back(run: Any):
    assert run("import", "ada", given=jsonl(FILE)).output == "imported 2053 of 2053 tasks\n"
    first = run("export", "ada")
    person, tasks = parts(first.output)
    assert person["id"] == "ada"
    defaults = {"description": None, "completed": False}
    assert tasks == [defaults | task for task in FILE]
    assert run("user", "remove", "ada", "--yes").status == 0
    assert run("export", "ada").status == 1
    assert run("import", "ada", given=first.output).status == 0
    assert parts(run("export", "ada").output)[1] == tasks


def test_second_import_is_refused_unless_it_is_said_to_add(run: Any):
    twice = jsonl([TASK, TASK])
    assert run("import", "bob", given=twice).status == 0
    refused = run("import", "bob", given=twice)
    assert (refused.status, refused.errors.count("\n")) == (1, 1)
    assert "--add" in refused.errors
    assert run("import", "--add", "bob", given=twice).output == "imported 2 of 2 tasks\n"
    assert len(parts(run("export", "bob").output)[1]) == 4


def test_one_bad_line_and_nothing_is_stored(run: Any):
    ended = run("import", "eve", given=jsonl([TASK] * 1500 + [{"title": "canary" * 40}]))
    assert (ended.status, ended.output) == (1, "")
    assert ended.errors == "todo: line 1501 /title: maxLength\n"
    assert run("export", "eve").status == 1


def test_accounts_are_not_made_by_an_import(tmp_path: Path):
    todo(tmp_path, "migrate")
    ended = todo(tmp_path, "import", "nobody", given=jsonl([TASK]))
    assert (ended.status, ended.errors) == (1, "todo: there is no such person\n")


def test_exported_file_is_the_owners_own_and_never_half(run: Any):
    assert run("import", "carol", given=jsonl([TASK])).status == 0
    file = run.folder / "carol.jsonl"
    file.write_text("before")
    assert run("export", "carol", "--output", str(file)).status == 1
    assert run("export", "nobody", "--output", str(file), "--force").status == 1
    assert file.read_text() == "before"
    assert run("export", "carol", "--output", str(file), "--force").status == 0
    assert len(file.read_text().splitlines()) == 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in run.folder.iterdir() if "carol" in found.name] == ["carol.jsonl"]


def test_progress_is_shown_at_a_terminal(run: Any):
    run("import", "dora", given=jsonl([TASK] * 1500))
    terminal = Terminal(run.folder, "export", "dora", "--output", "dora.jsonl", **run.settings)
    assert terminal.end() == 0, terminal.shown
    assert "Exporting tasks" in terminal.shown
    assert "100%" in terminal.shown
    assert len((run.folder / "dora.jsonl").read_text().splitlines()) == 1501


def test_reader_that_has_had_enough_ends_the_export_quietly(run: Any):
    run("import", "emil", given=jsonl([TASK] * 1500))
    with start_todo(run.folder, "export", "emil", **run.settings) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"canary", " is not valid JSON in UTF-8"),
        (b'{"title": "canary", "title": "canary"}', " is not valid JSON in UTF-8"),
        (b'{"title": "canary\xff"}', " is not valid JSON in UTF-8"),
        (b'{"title": "canary\\ud800"}', " is not valid JSON in UTF-8"),
        (b"", " is not valid JSON in UTF-8"),
        (b'{"title": "' + b"canary" * 11_000 + b'"}', " is longer than 65536 bytes"),
        (b'["canary"]', ": type"),
        (b'{"type": "user", "id": "canary"}', " /title: required"),
        (b'{"title": " "}', " /title: pattern"),
        (b'{"title": "x", "description": 1}', " /description: type"),
        (b'{"title": "x", "completed": "canary"}', " /completed: type"),
        (b'{"title": "x", "created_at": "canary"}', " /created_at: format"),
        (b'{"title": "x", "created_at": 1}', " /created_at: type"),
        (b'{"title": "x", "created_at": "2026-06-30T23:59:60Z"}', " /created_at: format"),
        (b'{"title": "x", "created_at": "0001-01-01T00:00:00+01:00"}', " /created_at: format"),
        (b'{"title": "x", "created_at": "2026-11-21T09:30:00"}', " /created_at: format"),
        (
            b'{"title": "x", "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}',
            " /updated_at: before created_at",
        ),
    ],
)
def test_bad_line_is_named_by_its_number_and_place_alone(line: bytes, fault: str):
    with pytest.raises(Failure) as raised:
        check(b'{"type": "user"}\n{"title": "good"}\n' + line + b"\n")
    assert str(raised.value) == f"line 3{fault}"


def check(content: bytes) -> lines.Checked:
    return lines.check(io.BytesIO(content), now=datetime(2026, 11, 21, tzinfo=UTC), advance=lambda _: None)


def test_time_is_kept_whatever_its_zone_and_has_a_default():
    content = b'{"title": "x", "created_at": "2026-01-01T01:00:00.25+01:00"}\n{"title": "y"}'
    [[zoned, now]] = check(content).batches(10, after=0)
    assert zoned.created_at == zoned.updated_at == datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert now.created_at == now.updated_at == datetime(2026, 11, 21, tzinfo=UTC)
