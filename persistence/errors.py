"""The errors of persistence, and the translation of the drivers' errors."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from contract.problems import Unavailable

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# 08 connection, 53 resources, 57 operator intervention; then: serialization, deadlock, read only, a
# transaction left idle.
_TRANSIENT_CLASSES = ("08", "53", "57")
_TRANSIENT = frozenset({"40001", "40P01", "25006", "25P03"})
_MISSING = frozenset({"42P01", "42703"})  # undefined_table, undefined_column
# Citus reports a dead machine inside a transaction as XX000, an internal error.
_DEAD_CITUS_NODE = re.compile(
    "could not commit transaction for shard|failure on connection marked as essential"
)
# https://www.sqlite.org/rescode.html; the file is unusable, but may be replaced.
_SQLITE_FILE = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SQLITE_SCHEMA = ("no such table", "has no column", "no such column")

# SQLite names the columns, PostgreSQL the constraint.
_SQLITE_CONSTRAINTS = {
    "UNIQUE constraint failed: users.email": "users_email_key",
    "FOREIGN KEY constraint failed": "_user_id_fkey",  # the only foreign keys
}
# Citus names the constraint only in the message, followed by the number of a shard.
_POSTGRESQL_CONSTRAINTS = re.compile("users_email_key|[a-z_]+_user_id_fkey")


class ConstraintViolated(Exception):
    """A statement violates the constraint `name` and changed nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class OwnerMissing(ConstraintViolated):
    """A row refers to a user that has no row in users."""


class NotMigrated(Unavailable):
    """A table or a column is missing."""

    detail = "The database has an older schema than this server needs. `todo migrate` updates it."


class Locked(Unavailable):
    """Another transaction holds a lock that a statement needs."""


class Disconnected(Unavailable):
    """The connection was lost during a statement, which may have been executed."""


class Incompatible(Exception):
    """A database that the server cannot use until the operator changes it."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise ConstraintViolated or Unavailable instead of an error of the driver."""
    try:
        yield
    except (psycopg.IntegrityError, sqlite3.IntegrityError) as error:
        name = _find_constraint(error)
        raise (OwnerMissing if name.endswith("_user_id_fkey") else ConstraintViolated)(name) from None
    except TimeoutError as error:
        raise Unavailable("The database does not answer. Try again in a moment.") from error
    except (psycopg.Error, sqlite3.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) == psycopg.errors.LockNotAvailable.sqlstate:
            raise Locked from cause
        if _is_not_migrated(cause):
            raise NotMigrated from cause
        if _is_transient(cause):
            raise Unavailable from cause
        raise


def is_file_unusable(error: sqlite3.Error) -> bool:
    """Return whether SQLite cannot use the file and must open it again."""
    return _sqlite_code(error) in _SQLITE_FILE


def is_read_only(error: sqlite3.Error) -> bool:
    """Return whether the file, or the connection, is read-only."""
    return _sqlite_code(error) == sqlite3.SQLITE_READONLY


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another process has locked the file."""
    return _sqlite_code(error) in _SQLITE_BUSY


def is_full(error: sqlite3.Error) -> bool:
    """Return whether the disk is full."""
    return _sqlite_code(error) == sqlite3.SQLITE_FULL


def _sqlite_code(error: sqlite3.Error) -> int:
    """Return the primary result code, 0 for errors of the module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _find_constraint(error: psycopg.Error | sqlite3.Error) -> str:
    if isinstance(error, psycopg.Error):
        said = error.diag.constraint_name or error.diag.message_primary or ""
        known = _POSTGRESQL_CONSTRAINTS.search(said)
        return known[0] if known else said
    return _SQLITE_CONSTRAINTS.get(str(error), "")


def _is_not_migrated(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return any(words in str(error) for words in _SQLITE_SCHEMA)
    return getattr(error, "sqlstate", None) in _MISSING


def _is_transient(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return is_full(error) or is_busy(error) or is_file_unusable(error)
    if isinstance(error, psycopg.errors.InternalError_):
        return bool(_DEAD_CITUS_NODE.search(str(error)))
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in _TRANSIENT_CLASSES or error.sqlstate in _TRANSIENT
    return isinstance(error, psycopg.OperationalError)  # refused, lost or timed out
