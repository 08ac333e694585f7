"""A bounded pool of connections to PostgreSQL, with a deadline for each use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge
from psycopg import AsyncConnection

from persistence.errors import Disconnected
from persistence.postgresql_connection import CANCEL_GRACE_S, CONNECT_OPTIONS, Connection
from persistence.statements import Step, no_step

log = logging.getLogger("todo.database")

WAIT, CONNECT = "wait for a connection", "connect"  # the names of spans
ACQUIRE_TIMEOUT_S = 2.5  # so that a request without a connection fails within 3 s
CHECK_AFTER_S = 30  # a connection that was idle for longer is tested before its use
MAX_IDLE_S = 240  # Neon suspends after 300 s
TICK_S = 0.1  # between two looks at the deadlines; a timer for each statement would cost more
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


class Pool:
    """Connections to one database. The last used is reused first, so that idle ones are closed.

    psycopg_pool costs 10 to 17 µs more per statement, makes a request wait when the database rejects
    connections, and pauses after each dead connection.
    """

    def __init__(self, conninfo: str, size: int, step: Step = no_step) -> None:
        """Open at most `size` connections."""
        self._step = step
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._in_use: set[Connection] = set()
        self._free = asyncio.Semaphore(size)
        self._ticking: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # that cancel statements
        self._prepares = True
        _MAX.set(size)

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, until: float) -> T:
        """Return what `work` returns with a connection, by `until` of the event loop's clock.

        Raise TimeoutError if no connection is free in time, Disconnected if the connection is lost, and the
        errors of Connection.
        """
        connection = await self._acquire(until)
        connection.until = until
        self._in_use.add(connection)
        if self._ticking is None:
            self._enforce_deadlines()
        try:
            return await work(connection)
        except Exception as error:
            if connection.is_closed and not connection.is_cancelled:
                raise Disconnected from error
            raise
        finally:
            self._in_use.discard(connection)
            self._put_back(connection)

    def _enforce_deadlines(self) -> None:
        """Cancel a statement CANCEL_GRACE_S before its deadline. Close the connection at the deadline."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [*self._in_use]:
            if now >= connection.until:
                connection.time_out()
            elif now >= connection.until - CANCEL_GRACE_S and not connection.is_cancelled:
                connection.is_cancelled = True
                self._start(connection.request_cancel())
        self._ticking = loop.call_later(TICK_S, self._enforce_deadlines) if self._in_use else None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _acquire(self, until: float) -> Connection:
        """Return a usable connection. Raise TimeoutError, and errors of psycopg if it cannot connect."""
        if not self._free.locked():
            await self._free.acquire()
        else:
            with _TIMEOUTS.count_exceptions(TimeoutError), _WAITING.track_inprogress(), self._step(WAIT):
                async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                    await self._free.acquire()
        _IN_USE.inc()
        try:
            if self._idle:
                if await _is_alive(connection := self._idle.pop()):
                    return connection
                self._close_idle()  # the other connections have been idle for longer
            with self._step(CONNECT):
                async with asyncio.timeout_at(until):
                    return await self._connect()
        except BaseException:
            self._release()
            raise

    async def _connect(self) -> Connection:
        opened = await AsyncConnection.connect(self._conninfo, autocommit=True, **CONNECT_OPTIONS)
        try:
            if str(opened.info.timezone) not in UTC_NAMES:
                # psycopg returns times in the zone of the session. PgBouncer tracks the zone.
                await opened.execute("SET TIME ZONE 'UTC'")
            return Connection(opened, prepares=self._prepares and await is_direct(opened))
        except BaseException:
            await opened.close()
            raise

    def _put_back(self, connection: Connection) -> None:
        """Put the connection back unless it is broken. Close one that was idle for too long."""
        now = connection.used_at = asyncio.get_running_loop().time()
        if connection.has_lost_plan and self._prepares:
            self._prepares = False
            log.warning("statements are no longer prepared: the connection leads to several sessions")
        if connection.is_read_only or connection.has_lost_plan:
            self._close_idle()  # they lead to the same standby, or have the same plans
        if connection.is_running:  # the request was cancelled
            self._start(self._end(connection))
            return
        if connection.is_usable:
            self._idle.append(connection)
        else:
            connection.close()
        self._release()
        if self._idle and now - self._idle[0].used_at > MAX_IDLE_S:
            self._idle.pop(0).close()

    async def _end(self, connection: Connection) -> None:
        """Cancel a statement that nobody waits for, and close the connection."""
        try:
            await connection.request_cancel()
        finally:
            connection.close()
            self._release()

    def _release(self) -> None:
        _IN_USE.dec()
        self._free.release()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def close(self) -> None:
        """Close the idle connections."""
        self._close_idle()
        await asyncio.gather(*self._tasks)


async def _is_alive(connection: Connection) -> bool:
    """Return whether the connection is usable. It usually takes 2 µs.

    If the server has closed the connection, the socket is readable. After a network failure it is not, so a
    connection that was idle for CHECK_AFTER_S is tested with a round trip.
    """
    idle_s = asyncio.get_running_loop().time() - connection.used_at
    if not connection.is_closed and (idle_s > CHECK_AFTER_S or connection.has_news()):
        await connection.check()
    return not connection.is_closed


async def is_direct(opened: AsyncConnection[Any]) -> bool:
    """Return whether the connection leads to one session. A pooler tells clients a process id of its own."""
    cursor = await opened.execute("SELECT pg_backend_pid()")
    return await cursor.fetchone() == (opened.info.backend_pid,)
