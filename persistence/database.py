"""Runs statements on SQLite or PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from typing import NamedTuple, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Executable, make_url
from sqlalchemy.exc import ArgumentError

from persistence.errors import translate_errors
from persistence.postgresql import PostgreSQL, parse_conninfo
from persistence.sqlite import SQLite
from persistence.statements import Compiled, Parameters, Row, Run, Step, compile_for, no_step

T = TypeVar("T")


class Target(NamedTuple):
    """The path of SQLite's file, or the connection string of libpq."""

    is_sqlite: bool
    name: str


def parse_url(url: str) -> Target:
    """Parse `url`. Raise ValueError, without the value, if no driver accepts it."""
    try:
        if url.startswith("sqlite:"):
            return Target(is_sqlite=True, name=str(make_url(url).database))
        target = Target(is_sqlite=False, name=parse_conninfo(url))
    except (ArgumentError, ValueError, psycopg.ProgrammingError):
        raise ValueError(
            "is not a URL that the database driver accepts; check its port and its query"
        ) from None
    options = conninfo_to_dict(target.name)
    # An unencoded @ in a password: libpq would resolve the rest as a host and log it.
    if any("@" in str(options.get(name, "")) for name in ("host", "dbname")):
        raise ValueError("contains an unencoded @ or / in the password: write %40 for @ and %2F for /")
    return target


def describe_for_spans(target: Target) -> dict[str, str | int]:
    """Return the attributes of a database span. With several hosts, the server is not known.

    https://opentelemetry.io/docs/specs/semconv/db/postgresql/
    """
    if target.is_sqlite:
        return {"db.system.name": "sqlite"}
    options = conninfo_to_dict(target.name)
    found: dict[str, str | int] = {"db.system.name": "postgresql"}
    if options.get("dbname"):
        found["db.namespace"] = str(options["dbname"])
    if (host := str(options.get("host", ""))) and "," not in host:
        found |= {"server.address": host, "server.port": int(str(options.get("port", 5432)))}
    return found


# The options of libpq that are not secret.
_SHOWN = frozenset({"host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs"})


def describe(target: Target) -> str:
    """Describe the target for the operator, without secrets."""
    if target.is_sqlite:
        return f"SQLite, {target.name}"
    options = conninfo_to_dict(target.name).items()
    shown = [f"{name}={value}" if name in _SHOWN else f"{name}: set" for name, value in options]
    return ", ".join(("PostgreSQL", *shown))


class Transaction:
    """Runs the statements of one transaction."""

    def __init__(self, run: Run, compiled: Callable[[Executable], Compiled]) -> None:
        self._run = run
        self._compiled = compiled

    async def fetch_one(self, statement: Executable, parameters: Parameters) -> Row | None:
        """Return the first row, or None."""
        rows, _ = await self._execute(statement, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, statement: Executable, parameters: Parameters) -> Sequence[Row]:
        """Return every row."""
        rows, _ = await self._execute(statement, parameters)
        return rows

    async def execute(self, statement: Executable, parameters: Parameters) -> int:
        """Return how many rows the statement changed."""
        _, changed = await self._execute(statement, parameters)
        return changed

    async def _execute(self, statement: Executable, parameters: Parameters) -> tuple[list[Row], int]:
        with translate_errors():
            return await self._run(self._compiled(statement), parameters)


class Database(Transaction):
    """Runs statements, each in a transaction of its own. Each is compiled once."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        around: Callable[[Run], Run] | None = None,
        step: Step = no_step,
    ) -> None:
        """Wrap the function that runs each statement with `around`. Only PostgreSQL has a pool."""
        self.target = parse_url(url)
        name = self.target.name
        self._driver = SQLite(name, step) if self.target.is_sqlite else PostgreSQL(name, pool_size, step)
        self._around = around or (lambda run: run)
        super().__init__(self._around(self._driver.run), cache(partial(compile_for, self._driver.dialect)))

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Return what `work` returns. Commit its statements together, or none of them if it raises.

        If the connection is lost, even during COMMIT, run `work` again. `work` must recognize its own writes.
        """

        async def work_in_transaction(run: Run) -> T:
            return await work(Transaction(self._around(run), self._compiled))

        with translate_errors():
            return await self._driver.transaction(work_in_transaction)

    async def close(self) -> None:
        """Close every connection."""
        await self._driver.close()
