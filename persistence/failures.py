"""What the drivers raise, as what it means here."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from contract.problems import Unavailable

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# 08 connection, 53 resources, 57 operator intervention; then: lock, serialization, deadlock, read only,
# and a table that is not there: the schema is not yet migrated.
_TRANSIENT_CLASSES = ("08", "53", "57")
_TRANSIENT = frozenset({"55P03", "40001", "40P01", "25006", "42P01"})
_SQLITE_TRANSIENT = ("locked", "busy", "no such table", "unable to open", "readonly", "disk I/O", "full")

# SQLite names the columns, PostgreSQL the constraint.
_SQLITE_CONSTRAINTS = {
    "UNIQUE constraint failed: users.email": "users_email_key",
    "FOREIGN KEY constraint failed": "tasks_user_id_fkey",
}


class ConstraintViolated(Exception):
    """A statement that would break the constraint `name`, and changed nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Incompatible(Exception):
    """A database that cannot be made to serve, and why. It takes a person to change it."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises ConstraintViolated and Unavailable in place of the drivers' errors that mean them."""
    try:
        yield
    except (psycopg.IntegrityError, sqlite3.IntegrityError) as error:
        raise ConstraintViolated(_constraint(error)) from None
    except TimeoutError as error:
        raise Unavailable("The database does not answer. Try again in a moment.") from error
    except (psycopg.Error, sqlite3.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if _is_transient(cause):
            raise Unavailable from cause
        raise


def _constraint(error: psycopg.Error | sqlite3.Error) -> str:
    if isinstance(error, psycopg.Error):
        return str(error.diag.constraint_name)
    return _SQLITE_CONSTRAINTS.get(str(error), "")


def _is_transient(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return any(word in str(error) for word in _SQLITE_TRANSIENT)
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in _TRANSIENT_CLASSES or error.sqlstate in _TRANSIENT
    return isinstance(error, psycopg.OperationalError)  # refused, cut off, out of time
