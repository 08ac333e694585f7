"""SQLite through the standard library: reads in the event loop, writes one after the other on a thread."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from prometheus_client import Gauge
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from persistence import sqlite_file
from persistence.errors import is_busy, is_file_unusable, is_read_only
from persistence.statements import Compiled, Parameters, Row, Run

QUEUE_TIMEOUT_S, LOCK_TIMEOUT_MS = 1.5, 3000  # so that a write fails within 5 s
PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer
    "PRAGMA synchronous = FULL",  # an acknowledged write survives a power failure
    "PRAGMA foreign_keys = ON",
)

_WAITING = Gauge(
    "todo_sqlite_writes_waiting", "Writes waiting for earlier writes.", multiprocess_mode="livesum"
)

T = TypeVar("T")


class SQLite:
    """Runs compiled statements on two connections, which the first statement opens.

    In WAL mode a read never waits, and takes less time than passing it to a thread. A write waits for the
    disk and for other processes.
    """

    dialect = SQLiteDialect_pysqlite(paramstyle="named")

    def __init__(self, path: str) -> None:
        self._path = path
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._write_lock = asyncio.Lock()

    async def run(self, statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        """Return the rows and how many changed. Raise errors of sqlite3, and TimeoutError."""
        if statement.is_read and self._reader is not None:
            try:
                return _run(self._reader, statement, parameters)
            except sqlite3.Error:
                pass  # most likely locked: the thread may wait for the lock
        async with self._wait_for_turn():
            return await self._run_on_thread(self._run_on_writer, statement, parameters)

    async def transaction(self, work: Callable[[Run], Awaitable[T]]) -> T:
        """Return what `work` returns, committed. Raise the errors of `work` and of `run`."""

        async def run(statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
            return await self._run_on_thread(self._run_on_writer, statement, parameters)

        async with self._wait_for_turn():
            try:
                await self._run_on_thread(self._execute, "BEGIN IMMEDIATE")
                result = await work(run)
                await self._run_on_thread(self._execute, "COMMIT")
            except BaseException:
                # A second cancellation ends the wait but not the rollback, which the thread runs next.
                await asyncio.shield(self._run_on_thread(self._roll_back))
                raise
        return result

    @asynccontextmanager
    async def _wait_for_turn(self) -> AsyncIterator[None]:
        """Wait for the earlier writes. Raise TimeoutError."""
        if not self._write_lock.locked():
            await self._write_lock.acquire()
        else:
            with _WAITING.track_inprogress():
                async with asyncio.timeout(QUEUE_TIMEOUT_S):
                    await self._write_lock.acquire()
        try:
            yield
        finally:
            self._write_lock.release()

    async def _run_on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _run_on_writer(self, statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        with self._open_writer() as writer:
            return _run(writer, statement, parameters)

    def _execute(self, sql: str) -> None:
        with self._open_writer() as writer:
            writer.execute(sql)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # the transaction may not be open
            self._execute("ROLLBACK")

    @contextmanager
    def _open_writer(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for writes. Give both connections up if the file is unusable.

        A connection that was opened on a read-only disk never writes, even when the disk is writable again.
        """
        try:
            if self._writer is None:
                self._writer = connect(self._path, lock_timeout_ms=LOCK_TIMEOUT_MS)
            if self._reader is None:
                self._reader = connect(self._path, lock_timeout_ms=0)
            yield self._writer
        except sqlite3.Error as error:
            if is_read_only(error):  # new connections would share the read-only lock file of these
                self._close_connections()
            elif is_file_unusable(error):  # closing would write the log to a disk that has failed
                self._writer = self._reader = None
            raise

    def _close_connections(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    async def close(self) -> None:
        """Close the file, which completes the write-ahead log."""
        self._thread.shutdown(wait=True)
        self._close_connections()


def connect(path: str, *, lock_timeout_ms: int) -> sqlite3.Connection:
    """Open a connection with automatic commits. Create the file if it is missing."""
    sqlite_file.protect(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_MS}")
    for pragma in PRAGMAS:
        _execute_with_retries(connection, pragma)
    connection.execute(f"PRAGMA busy_timeout = {lock_timeout_ms}")
    return connection


def _execute_with_retries(connection: sqlite3.Connection, pragma: str, *, for_s: float = 2.0) -> None:
    """Run the pragma. Retry while another process changes the journal mode, which ignores busy_timeout."""
    deadline = time.monotonic() + for_s
    while True:
        try:
            connection.execute(pragma)
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _run(
    connection: sqlite3.Connection, statement: Compiled, parameters: Parameters
) -> tuple[list[Row], int]:
    cursor = connection.execute(statement.sql, statement.arguments(parameters))
    raw: list[Any] = cursor.fetchall()
    names = [] if statement.columns is not None else [column[0] for column in cursor.description or ()]
    return statement.rows(raw, names), cursor.rowcount
