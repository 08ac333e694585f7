"""`todo backup`: a copy of the SQLite database."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command_line import call_todo
from tests.support.databases import on_sqlite
from tests.support.server import Server
from tests.support.users import User

CANARY = "c4n4ry"


@on_sqlite
def test_backup_beside_a_server_has_every_acknowledged_write_and_is_for_its_owner_only(
    tmp_path: Path, secret_server: Server, ada: User
):
    stored = [(ada.create_task(title=f"{number}")["id"], f"{number}") for number in range(20)]
    url = secret_server.settings["DATABASE_URL"]
    ended = call_todo(tmp_path, "backup", "copy.db", DATABASE_URL=url)
    assert (ended.status, ended.output, ended.errors) == (0, "", "")
    copy = tmp_path / "copy.db"
    assert [*tmp_path.iterdir()] == [copy]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        rows = connection.execute("SELECT id, title FROM tasks WHERE user_id = ? ORDER BY id", [ada.id])
        assert rows.fetchall() == stored


def test_backup_replaces_a_file_only_if_told_to(tmp_path: Path):
    other = tmp_path / "other"
    other.write_text(CANARY)
    call_todo(tmp_path, "migrate")
    refused = call_todo(tmp_path, "backup", str(other))
    assert (refused.status, other.read_text()) == (1, CANARY)
    assert "--force" in refused.errors
    assert call_todo(tmp_path, "backup", "--force", str(other)).status == 0
    assert other.read_bytes().startswith(b"SQLite format 3")
    assert other.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(84), CANARY.encode() * 999])
def test_backup_of_a_damaged_or_empty_file_writes_nothing_in_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "todo.db").write_bytes(content)
    ended = call_todo(tmp_path, "backup", "copy.db")
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert CANARY not in ended.errors
    assert [path.name for path in tmp_path.iterdir()] == ["todo.db"]


def test_backup_is_for_sqlite_and_of_an_existing_file(tmp_path: Path):
    missing = call_todo(tmp_path, "backup", "copy.db")
    assert (missing.status, [*tmp_path.iterdir()]) == (1, [])
    other = call_todo(tmp_path, "backup", "copy.db", DATABASE_URL="postgresql://nobody@127.0.0.1:1/todo")
    assert other.status == 1
    assert "pg_dump" in other.errors
