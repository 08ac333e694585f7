"""What the drivers raise, as what it means here."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, TimeoutError

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
    except IntegrityError as error:
        raise ConstraintViolated(_constraint(error)) from None
    except TimeoutError as error:
        raise Unavailable("The server is busy. Try again in a moment.") from error
    except DBAPIError as error:
        if _is_transient(error):
            raise Unavailable from error.orig
        raise


def _constraint(error: IntegrityError) -> str:
    diagnostic = getattr(error.orig, "diag", None)
    if diagnostic is not None:
        return str(diagnostic.constraint_name)
    return _SQLITE_CONSTRAINTS.get(str(error.orig), "")


def _is_transient(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT
    if not isinstance(error, OperationalError):
        return False
    is_sqlite = "sqlite" in type(error.orig).__module__
    return not is_sqlite or any(word in str(error.orig) for word in _SQLITE_TRANSIENT)
