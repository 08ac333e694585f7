"""SQLite's files: their mode, why they cannot be written, and a copy of them."""

import os
import sqlite3
from contextlib import closing, suppress

MODE = 0o600  # the file contains the private signing key


def protect(path: str) -> None:
    """Create the file if it is missing. Set the mode of the file, -wal and -shm to MODE.

    SQLite creates -wal and -shm with the mode of the file. An existing file is not opened, because closing it
    would release the locks of this process. Errors are ignored here, because SQLite will raise them.
    """
    file = os.path.realpath(path)
    with suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
    for name in (file, f"{file}-wal", f"{file}-shm"):
        with suppress(OSError):  # missing, or another user's
            if os.stat(name).st_mode & 0o077:
                os.chmod(name, MODE)


def describe_problem(path: str) -> str | None:
    """Return why the file cannot be written, with its folder and users, None if there is another reason."""
    file = os.path.realpath(path)
    folder, user = os.path.dirname(file), os.geteuid()
    if not os.path.isdir(folder):
        return f"the folder {folder} does not exist, or uid {user} of this process may not see it"
    for needed in (folder, file):
        if os.path.exists(needed) and not os.access(needed, os.W_OK, effective_ids=True):
            owner = os.stat(needed).st_uid
            return f"{needed} cannot be written: it belongs to uid {owner}, this process has uid {user}"
    return None


class CopyError(Exception):
    """SQLite's reason why there is no copy. It contains no value of the database."""


def copy(path: str, target: str) -> None:
    """Write the last commit of the database to the empty file `target`, and check the copy.

    Other processes may write meanwhile. Raise CopyError.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", [target])
        with closing(sqlite3.connect(target)) as connection:
            (damage,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise CopyError(str(error)) from None
    if damage != "ok":
        raise CopyError("the copy is damaged, as the database may be: PRAGMA integrity_check says more")
    if not tables:
        raise CopyError("the database has no tables")
