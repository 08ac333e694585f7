"""A bounded pool of connections to PostgreSQL, with a deadline for each use."""

import asyncio
import os
import select
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from prometheus_client import Counter, Gauge
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from persistence.errors import Disconnected

# https://www.postgresql.org/docs/current/libpq-connect.html; seconds, tcp_user_timeout in ms
CONNECT: dict[str, Any] = {
    "connect_timeout": 2,  # a host: of several the first may be frozen
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # a pooler in transaction mode gives wrong rows with prepared statements
}
MAX_CONNECTIONS = 10
LAST_WORD_S = 1  # before its deadline, in which a statement that takes too long is asked to end
PATIENCE_S = 2.5  # for a connection: that there is none is known within 3 s
ASKED_AFTER_S = 30  # a connection idle for longer is asked whether it lives
KEPT_S = 240  # Neon suspends after 300 s
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})

_IN_USE = Gauge(
    "todo_pool_connections_in_use", "Connections to PostgreSQL in use.", multiprocess_mode="livesum"
)
_MAX = Gauge("todo_pool_connections_max", "Connections to PostgreSQL at most.", multiprocess_mode="livesum")
_WAITING = Gauge(
    "todo_pool_requests_waiting", "Requests waiting for a connection.", multiprocess_mode="livesum"
)
_TIMEOUTS = Counter("todo_pool_timeouts", "Requests that no connection came free for in time.")

T = TypeVar("T")


class Connection(AsyncConnection[Sequence[Any]]):
    """A connection that records its last use and can have a deadline for its statements."""

    used_at: float = 0
    is_spent: bool = False  # not to be used for anything more
    is_read_only: bool = False
    _asking: asyncio.Task[None] | None = None
    _deadline: asyncio.TimerHandle | None = None

    def expect_by(self, moment: float) -> None:
        """Cancel what runs at `moment` of the event loop's clock, until `be_patient` is called.

        Shortly before, ask the server to cancel the statement. If the server hangs, close the connection,
        because a cancelled task still waits for psycopg.
        """
        self.be_patient()
        self._deadline = asyncio.get_running_loop().call_at(moment - LAST_WORD_S, self._ask_to_end, moment)

    def be_patient(self) -> None:
        """Remove the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()

    def _ask_to_end(self, moment: float) -> None:
        self.is_spent = True  # the wish may arrive during the next statement
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(moment, self._cut)
        self._asking = loop.create_task(self._cancel_statement())

    async def _cancel_statement(self) -> None:
        with suppress(psycopg.Error):
            await self.cancel_safe(timeout=LAST_WORD_S)

    def _cut(self) -> None:
        """Shut down the socket, so that a waiting task sees the end of the connection."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def check_that_it_counts(self) -> None:
        """Raise TimeoutError if a cancelled COMMIT succeeded: perhaps only the primary has it.

        PostgreSQL then warns that it has committed without waiting for the standby.
        """
        if self.is_spent:
            raise TimeoutError

    async def lives(self) -> bool:
        """Return whether the connection is usable, usually in 2 µs.

        A server that has closed the connection has left an end of file on the socket. After a network failure
        there is none, so a connection that was idle for long is tested with a round trip.
        """
        farewell = select.poll()
        farewell.register(self.fileno(), select.POLLIN)
        if not farewell.poll(0) and time.monotonic() - self.used_at < ASKED_AFTER_S:
            return True
        cut = asyncio.get_running_loop().call_later(LAST_WORD_S, self._cut)
        try:
            await self.execute("")
        except Exception:  # whatever it is, there are others to be had
            await self.close()
        finally:
            cut.cancel()
        return not self.closed


class Pool:
    """Connections to one database. The last used is reused first, so that idle ones are closed.

    psycopg_pool costs 10 to 17 µs more per statement, lets a request wait when the database rejects
    connections, and pauses after each dead connection.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        _MAX.set(MAX_CONNECTIONS)

    async def lend(self, work: Callable[[Connection], Awaitable[T]], *, until: float) -> T:
        """Return what `work` returns with a connection, by `until` of the event loop's clock.

        Raise TimeoutError without a connection, Disconnected if the connection is lost, and what psycopg
        raises.
        """
        connection = await self._take(until)
        connection.expect_by(until)
        try:
            return await work(connection)
        except Exception as error:
            if connection.closed and not connection.is_spent:
                raise Disconnected from error
            raise
        finally:
            connection.be_patient()
            await self._give_back(connection)

    async def _take(self, until: float) -> Connection:
        """Return a live connection. Raise TimeoutError, and what psycopg raises if it cannot connect."""
        if not self._free.locked():
            await self._free.acquire()
        else:
            with _TIMEOUTS.count_exceptions(TimeoutError), _WAITING.track_inprogress():
                async with asyncio.timeout(PATIENCE_S):
                    await self._free.acquire()
        _IN_USE.inc()
        try:
            if self._idle:
                if await (connection := self._idle.pop()).lives():
                    return connection
                await self.close()  # the others have been idle for longer still
            return await self._connect(until)
        except BaseException:
            self._release()
            raise

    async def _connect(self, until: float) -> Connection:
        async with asyncio.timeout_at(until):
            connection = await Connection.connect(self._conninfo, autocommit=True, **CONNECT)
        if str(connection.info.timezone) not in UTC_NAMES:
            connection.expect_by(until)
            # The session's zone is that of every time it gives. PgBouncer keeps track of it.
            await connection.execute("SET TIME ZONE 'UTC'")
        return connection

    async def _give_back(self, connection: Connection) -> None:
        """Release the connection to the pool unless it is broken, and close one that was idle too long."""
        connection.used_at = time.monotonic()
        if connection.is_read_only:
            await self.close()  # the others lead to the same host, and another one takes the writes now
        if connection.pgconn.transaction_status == TransactionStatus.IDLE and not connection.is_spent:
            self._idle.append(connection)
        else:
            await connection.close()
        self._release()
        if self._idle and connection.used_at - self._idle[0].used_at > KEPT_S:
            await self._idle.pop(0).close()

    def _release(self) -> None:
        _IN_USE.dec()
        self._free.release()

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().close()
