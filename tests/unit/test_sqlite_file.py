"""SQLite's files: who may read them, and why they cannot be written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persistence import sqlite_file
from persistence.sqlite import connect

NOBODY = 65_534


@contextmanager
def other_user() -> Iterator[int]:
    """Let root be another user, and yield the uid. Any other user stays themselves."""
    if os.getuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield os.geteuid()
    finally:
        os.seteuid(os.getuid())


def read_mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_new_files_are_for_their_owner_alone(tmp_path: Path):
    umask = os.umask(0)
    try:
        connection = connect(str(tmp_path / "todo.db"), lock_timeout_ms=0)
        connection.execute("CREATE TABLE tasks (id integer)")
        modes = {file.name: read_mode(file) for file in tmp_path.iterdir()}
        connection.close()
    finally:
        os.umask(umask)
    assert modes == dict.fromkeys(("todo.db", "todo.db-wal", "todo.db-shm"), 0o600)


@pytest.mark.parametrize("is_link", [False, True])
def test_existing_files_become_their_owners_alone(tmp_path: Path, is_link: bool):
    files = [tmp_path / name for name in ("todo.db", "todo.db-wal", "todo.db-shm")]
    for file in files:
        file.write_text("kept")
        file.chmod(0o664)
    link = tmp_path / "link.db"
    link.symlink_to(files[0])
    sqlite_file.protect(str(link if is_link else files[0]))
    assert [(read_mode(file), file.read_text()) for file in files] == [(0o600, "kept")] * 3


def test_folder_that_cannot_be_written_is_named_with_its_owner_and_the_process():
    with tempfile.TemporaryDirectory() as folder:
        assert sqlite_file.describe_problem(f"{folder}/todo.db") is None
        os.chmod(folder, 0o555)
        with other_user() as user:
            problem = sqlite_file.describe_problem(f"{folder}/todo.db")
    users = f"it belongs to uid {os.getuid()}, this process has uid {user}"
    assert problem == f"{folder} cannot be written: {users}"


def test_missing_folder_is_named(tmp_path: Path):
    problem = sqlite_file.describe_problem(str(tmp_path / "missing" / "todo.db"))
    assert problem is not None
    assert problem.startswith(f"the folder {tmp_path / 'missing'} does not exist")
