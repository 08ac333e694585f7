"""PostgreSQL through psycopg: statements that commit by themselves, and transactions."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Dialect, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from persistence.errors import Disconnected
from persistence.postgresql_connection import Connection, PlanLost
from persistence.postgresql_pool import Pool
from persistence.statements import Compiled, Parameters, Row, Run, Step

TIMEOUT_S = 4  # for the connection and all rows, so that a request fails within 5 s
# A transaction waits briefly for the row locks of others. PostgreSQL rolls back a transaction whose server
# has frozen or lost its connection. LOCAL, because a pooler reuses the session for others.
BEGIN = b"BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '5s'"

T = TypeVar("T")


class PostgreSQL:
    """Runs compiled statements."""

    dialect: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def __init__(self, conninfo: str, pool_size: int, step: Step) -> None:
        self._pool = Pool(conninfo, pool_size, step)
        self._step = step

    async def run(self, statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        """Return the rows and how many changed. Retry a read if its connection is lost.

        Raise the errors of Pool.run.
        """
        return await self._do(partial(_run, statement, parameters), is_repeatable=statement.is_read)

    async def transaction(self, work: Callable[[Run], Awaitable[T]]) -> T:
        """Return what `work` returns, committed. Run it again if its connection is lost.

        Raise the errors of `work` and of Pool.run.
        """
        return await self._do(partial(_run_in_transaction, work, self._step), is_repeatable=True)

    async def _do(self, work: Callable[[Connection], Awaitable[T]], *, is_repeatable: bool) -> T:
        """Return what `work` returns. Both attempts share one deadline."""
        until = asyncio.get_running_loop().time() + TIMEOUT_S
        try:
            return await self._pool.run(work, until=until)
        except (Disconnected, PlanLost):
            if not is_repeatable:
                raise
            return await self._pool.run(work, until=until)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()


async def _run(statement: Compiled, parameters: Parameters, connection: Connection) -> tuple[list[Row], int]:
    given = {**statement.constants, **parameters}
    result = await connection.run(statement, [_dump(given[name]) for name in statement.names])
    if not statement.is_read:
        connection.check_not_cancelled()
    return result


async def _run_in_transaction(work: Callable[[Run], Awaitable[T]], step: Step, connection: Connection) -> T:
    async def run(statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        return await _run(statement, parameters, connection)

    with step("BEGIN"):
        await connection.execute(BEGIN)
    try:
        result = await work(run)
    except BaseException:
        if not connection.is_running:  # otherwise it was cancelled, and the connection is closed
            with suppress(psycopg.Error, TimeoutError), step("ROLLBACK"):
                await connection.execute(b"ROLLBACK")
        raise
    with step("COMMIT"):
        await connection.execute(b"COMMIT")
    connection.check_not_cancelled()
    return result


def _dump(value: Any) -> bytes | None:
    """Return a parameter in PostgreSQL's text format. The SQL names its type. Raise DataError for NUL."""
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value:
            raise psycopg.DataError("PostgreSQL stores no NUL")
        return value.encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, datetime):
        return value.isoformat().encode()
    assert isinstance(value, int)
    return b"%d" % value


def parse_conninfo(url: str) -> str:
    """Return libpq's connection string for `url`, also for SQLAlchemy's spelling `?host=a:1&host=b:2`.

    Raise psycopg.ProgrammingError and errors of SQLAlchemy.
    """
    if len(re.findall(r"[?&]host=", url)) < 2:
        return make_conninfo(url)
    _, options = PostgreSQL.dialect.create_connect_args(make_url(url))
    return make_conninfo(**options)
