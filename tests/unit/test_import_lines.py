"""The lines that `todo import` reads: checked against the contract, and named by number when one is wrong."""

import io
from datetime import UTC, datetime

import pytest

from cli import import_lines
from cli.errors import CommandError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def check(content: bytes) -> import_lines.CheckedTasks:
    return import_lines.check_lines(io.BytesIO(content), now=NOON, advance=lambda _: None)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"canary", " is not valid JSON in UTF-8"),
        (b'{"title": "canary", "title": "canary"}', " is not valid JSON in UTF-8"),
        (b'{"title": "canary\xff"}', " is not valid JSON in UTF-8"),
        (b'{"title": "canary\\ud800"}', " is not valid JSON in UTF-8"),
        (b"", " is not valid JSON in UTF-8"),
        (b'{"title": "' + b"canary" * 11_000 + b'"}', " is longer than 65536 bytes"),
        (b'["canary"]', ": TaskInput: must be an object"),
        (b'{"type": "user", "id": "canary"}', ": title: required"),
        (b'{"title": " "}', ": title: must not be blank"),
        (b'{"title": "' + b"canary" * 40 + b'"}', ": title: at most 200 characters"),
        (b'{"title": "x", "description": 1}', ": description: must be text or null"),
        (b'{"title": "x", "completed": "canary"}', ": completed: must be true or false"),
        (b'{"title": "x", "created_at": "canary"}', ": created_at: must be a time like 2026-11-21T09:30:00Z"),
        (b'{"title": "x", "created_at": 1}', ": created_at: must be text"),
        (
            b'{"title": "x", "created_at": "2026-06-30T23:59:60Z"}',
            ": created_at: must be a time like 2026-11-21T09:30:00Z",
        ),
        (
            b'{"title": "x", "created_at": "0001-01-01T00:00:00+01:00"}',
            ": created_at: must be a time like 2026-11-21T09:30:00Z",
        ),
        (
            b'{"title": "x", "created_at": "2026-11-21T09:30:00"}',
            ": created_at: must be a time like 2026-11-21T09:30:00Z",
        ),
        (
            b'{"title": "x", "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}',
            ": updated_at: must not be before created_at",
        ),
        (
            b'{"title": "x", "updated_at": "2026-11-21T11:59:59Z"}',
            ": updated_at: must not be before created_at",
        ),
    ],
    ids=lambda part: str(part)[:40],
)
def test_wrong_line_is_named_by_its_number_and_place_and_not_shown(line: bytes, error: str):
    with pytest.raises(CommandError) as raised:
        check(b'{"type": "user"}\n{"title": "good"}\n' + line + b"\n")
    assert str(raised.value) == f"line 3{error}"


def test_time_is_read_in_any_zone_and_defaults_to_now():
    content = b'{"title": "x", "created_at": "2026-01-01t01:00:00.25+01:00"}\n{"title": "y"}'
    [[zoned, without]] = check(content).batches(10, after=0)
    assert zoned.created_at == zoned.updated_at == datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert without.created_at == without.updated_at == NOON
