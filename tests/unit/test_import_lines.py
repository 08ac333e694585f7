"""The lines that `todo import` reads: checked against the contract, and named by number when one is wrong."""

import io
from datetime import UTC, datetime

import pytest

from cli import lines
from cli.failures import Failure

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def check(content: bytes) -> lines.Checked:
    return lines.check(io.BytesIO(content), now=NOON, advance=lambda _: None)


@pytest.mark.parametrize(
    ("line", "error"),
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
        (b'{"title": "' + b"canary" * 40 + b'"}', " /title: maxLength"),
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
        (b'{"title": "x", "updated_at": "2026-11-21T11:59:59Z"}', " /updated_at: before created_at"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_wrong_line_is_named_by_its_number_and_place_and_not_shown(line: bytes, error: str):
    with pytest.raises(Failure) as raised:
        check(b'{"type": "user"}\n{"title": "good"}\n' + line + b"\n")
    assert str(raised.value) == f"line 3{error}"


def test_time_is_read_in_any_zone_and_defaults_to_now():
    content = b'{"title": "x", "created_at": "2026-01-01t01:00:00.25+01:00"}\n{"title": "y"}'
    [[zoned, without]] = check(content).batches(10, after=0)
    assert zoned.created_at == zoned.updated_at == datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert without.created_at == without.updated_at == NOON


def test_task_is_read_as_exported_and_unknown_members_are_ignored():
    content = b'{"id": 7, "user_id": "bob", "title": "\xc3\xa9", "description": "d", "completed": true}\n'
    [[task], [default]] = check(content + b'{"title": "y"}\n').batches(1, after=0)
    assert task[:3] == ("é", "d", True)
    assert default[:3] == ("y", None, False)


def test_tasks_come_in_batches_after_those_that_are_stored_already():
    checked = check(b"".join(b'{"title": "%d"}\n' % number for number in range(7)))
    assert checked.count == 7
    batches = [[task.title for task in batch] for batch in checked.batches(3, after=2)]
    assert batches == [["2", "3", "4"], ["5", "6"]]


def test_equal_files_have_one_name_and_other_files_another():
    contents = [
        b'{"title": "x"}\n',
        b'{"title": "x"}',
        b'{"title": "y"}\n',
        b'{"type": "user"}\n{"title": "x"}\n',
    ]
    names = [check(content).name for content in contents]
    assert len({*names}) == 4
    assert check(contents[0]).name == names[0]
