"""PostgreSQL through psycopg: a bounded number of connections that commit each statement by itself."""

import asyncio
import select
import time
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from persistence.statements import Compiled, Parameters, Row

# https://www.postgresql.org/docs/current/libpq-connect.html; seconds, tcp_user_timeout in ms
CONNECT: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # a pooler in transaction mode gives wrong rows with prepared statements
}
MAX_CONNECTIONS = 10
PATIENCE_S = 3  # for a connection; below the 5 s within which a failure is answered
ASKED_AFTER_S = 30  # a connection idle for longer is asked whether it lives
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})
KEPT_S = 240  # Neon suspends after 300 s


class Connection(AsyncConnection[Sequence[Any]]):
    """One that knows when it was last used."""

    used_at: float = 0

    async def lives(self) -> bool:
        """Whether it can still be used. Most often that costs 2 µs.

        A server that went has left its farewell on the socket; a network that went has not, so that a
        connection which has been idle for long is asked, at the cost of a round trip.
        """
        farewell = select.poll()
        farewell.register(self.fileno(), select.POLLIN)
        if not farewell.poll(0) and time.monotonic() - self.used_at < ASKED_AFTER_S:
            return True
        try:
            await self.execute("")
        except Exception:  # whatever it is, there are others to be had
            await self.close()
        return not self.closed


class Pool:
    """Connections to one database, the last used first, so that a quiet server lets the others go.

    psycopg_pool costs 10 to 17 µs more a statement, makes a request wait where the database refuses
    connections, and pauses between two that it finds dead.
    """

    def __init__(self, url: URL) -> None:
        self._conninfo = conninfo(url)
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def take(self) -> Connection:
        """A connection that lives. Raises TimeoutError, and what psycopg raises when it cannot connect."""
        if not self._free.locked():
            await self._free.acquire()
        else:
            async with asyncio.timeout(PATIENCE_S):
                await self._free.acquire()
        try:
            while self._idle:
                if await (connection := self._idle.pop()).lives():
                    return connection
            async with asyncio.timeout(PATIENCE_S):
                return await self._connect()
        except BaseException:
            self._free.release()
            raise

    async def _connect(self) -> Connection:
        connection = await Connection.connect(self._conninfo, autocommit=True, **CONNECT)
        if str(connection.info.timezone) not in UTC_NAMES:
            # The session's zone is that of every time it gives. PgBouncer keeps track of it.
            await connection.execute("SET TIME ZONE 'UTC'")
        return connection

    async def give_back(self, connection: Connection) -> None:
        """Keep it for the next, unless it is broken; and let go of the one that has been idle too long."""
        connection.used_at = time.monotonic()
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()
        self._free.release()
        if self._idle and connection.used_at - self._idle[0].used_at > KEPT_S:
            await self._idle.pop(0).close()

    async def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            await self._idle.pop().close()


class PostgreSQL:
    """Runs compiled statements."""

    dialect: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]

    def __init__(self, url: URL) -> None:
        self._pool = Pool(url)

    async def run(self, statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        """The rows, and how many it changed. Raises what psycopg raises, and TimeoutError."""
        connection = await self._pool.take()
        try:
            cursor = await connection.execute(statement.sql, statement.arguments(parameters))
            if statement.columns == ():
                return [], cursor.rowcount
            names = [column.name for column in cursor.description or ()] if statement.columns is None else ()
            return statement.rows(await cursor.fetchall(), names), cursor.rowcount
        finally:
            await self._pool.give_back(connection)

    async def close(self) -> None:
        """Give back every connection."""
        await self._pool.close()


def conninfo(url: URL) -> str:
    """The URL as libpq takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
