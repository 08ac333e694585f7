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
CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 2,  # for each host, because the first may not respond
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # with a pooler in transaction mode, prepared statements return wrong rows
}
MAX_CONNECTIONS = 10
CANCEL_GRACE_S = 1  # between the cancel request and the deadline of a statement
ACQUIRE_TIMEOUT_S = 2.5  # so that a request without a connection fails within 3 s
CHECK_AFTER_S = 30  # a connection that was idle for longer is tested before its use
MAX_IDLE_S = 240  # Neon suspends after 300 s
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})

_IN_USE = Gauge(
    "todo_pool_connections_in_use", "Connections to PostgreSQL in use.", multiprocess_mode="livesum"
)
_MAX = Gauge("todo_pool_connections_max", "Connections to PostgreSQL at most.", multiprocess_mode="livesum")
_WAITING = Gauge(
    "todo_pool_requests_waiting", "Requests waiting for a connection.", multiprocess_mode="livesum"
)
_TIMEOUTS = Counter("todo_pool_timeouts", "Requests that got no connection in time.")

T = TypeVar("T")


class Connection(AsyncConnection[Sequence[Any]]):
    """A connection that records its last use and can have a deadline for its statements."""

    used_at: float = 0
    is_cancelled: bool = False  # then it runs no further statement
    is_read_only: bool = False
    _cancelling: asyncio.Task[None] | None = None
    _deadline: asyncio.TimerHandle | None = None

    def set_deadline(self, moment: float) -> None:
        """Cancel the statement that runs at `moment` of the event loop's clock.

        Send the cancel request CANCEL_GRACE_S before. If the server does not respond, shut down the socket,
        because a cancelled task still waits for psycopg.
        """
        self.clear_deadline()
        self._deadline = asyncio.get_running_loop().call_at(
            moment - CANCEL_GRACE_S, self._request_cancel, moment
        )

    def clear_deadline(self) -> None:
        """Remove the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()

    def _request_cancel(self, moment: float) -> None:
        self.is_cancelled = True  # the cancel request may hit the next statement
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(moment, self._shut_down_socket)
        self._cancelling = loop.create_task(self._cancel_statement())

    async def _cancel_statement(self) -> None:
        with suppress(psycopg.Error):
            await self.cancel_safe(timeout=CANCEL_GRACE_S)

    def _shut_down_socket(self) -> None:
        """Shut down the socket, so that a waiting task gets an error."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def check_not_cancelled(self) -> None:
        """Raise TimeoutError if a cancelled COMMIT has succeeded, perhaps on the primary only.

        PostgreSQL then warns that it has committed without waiting for the standby.
        """
        if self.is_cancelled:
            raise TimeoutError

    async def check_alive(self) -> bool:
        """Return whether the connection is usable. It usually takes 2 µs.

        If the server has closed the connection, the socket is readable. After a network failure it is not, so
        a connection that was idle for CHECK_AFTER_S is tested with a round trip.
        """
        socket_events = select.poll()
        socket_events.register(self.fileno(), select.POLLIN)
        if not socket_events.poll(0) and time.monotonic() - self.used_at < CHECK_AFTER_S:
            return True
        timer = asyncio.get_running_loop().call_later(CANCEL_GRACE_S, self._shut_down_socket)
        try:
            await self.execute("")
        except Exception:  # the pool opens another connection
            await self.close()
        finally:
            timer.cancel()
        return not self.closed


class Pool:
    """Connections to one database. The last used is reused first, so that idle ones are closed.

    psycopg_pool costs 10 to 17 µs more per statement, makes a request wait when the database rejects
    connections, and pauses after each dead connection.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        _MAX.set(MAX_CONNECTIONS)

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, until: float) -> T:
        """Return what `work` returns with a connection, by `until` of the event loop's clock.

        Raise TimeoutError if no connection is free in time, Disconnected if the connection is lost, and the
        errors of psycopg.
        """
        connection = await self._acquire(until)
        connection.set_deadline(until)
        try:
            return await work(connection)
        except Exception as error:
            if connection.closed and not connection.is_cancelled:
                raise Disconnected from error
            raise
        finally:
            connection.clear_deadline()
            await self._put_back(connection)

    async def _acquire(self, until: float) -> Connection:
        """Return a usable connection. Raise TimeoutError, and errors of psycopg if it cannot connect."""
        if not self._free.locked():
            await self._free.acquire()
        else:
            with _TIMEOUTS.count_exceptions(TimeoutError), _WAITING.track_inprogress():
                async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                    await self._free.acquire()
        _IN_USE.inc()
        try:
            if self._idle:
                if await (connection := self._idle.pop()).check_alive():
                    return connection
                await self.close()  # the other connections have been idle for longer
            return await self._connect(until)
        except BaseException:
            self._release()
            raise

    async def _connect(self, until: float) -> Connection:
        async with asyncio.timeout_at(until):
            connection = await Connection.connect(self._conninfo, autocommit=True, **CONNECT_OPTIONS)
        if str(connection.info.timezone) not in UTC_NAMES:
            connection.set_deadline(until)
            # psycopg returns times in the zone of the session. PgBouncer tracks the zone.
            await connection.execute("SET TIME ZONE 'UTC'")
        return connection

    async def _put_back(self, connection: Connection) -> None:
        """Put the connection back unless it is broken. Close one that was idle for too long."""
        connection.used_at = time.monotonic()
        if connection.is_read_only:
            await self.close()  # the other connections lead to the same host, which is a standby now
        if connection.pgconn.transaction_status == TransactionStatus.IDLE and not connection.is_cancelled:
            self._idle.append(connection)
        else:
            await connection.close()
        self._release()
        if self._idle and connection.used_at - self._idle[0].used_at > MAX_IDLE_S:
            await self._idle.pop(0).close()

    def _release(self) -> None:
        _IN_USE.dec()
        self._free.release()

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().close()
