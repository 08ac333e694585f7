"""SQLite through the standard library: statements in the event loop, commits on a thread."""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, TypeVar

from prometheus_client import Gauge
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from persistence import sqlite_file
from persistence.errors import is_busy, is_file_unusable, is_full, is_read_only
from persistence.statements import Compiled, Parameters, Row, Run, Step, no_step

QUEUE_TIMEOUT_S, LOCK_TIMEOUT_MS = 1.5, 3000  # so that a write fails within 5 s
READ_TIMEOUT_S = 4
MAX_GROUP = 64  # writes in one commit, so that no write waits long for the others
PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer
    "PRAGMA synchronous = FULL",  # an acknowledged write survives a power failure
    "PRAGMA foreign_keys = ON",
)

_WAITING = Gauge(
    "todo_sqlite_writes_waiting", "Writes waiting for earlier writes.", multiprocess_mode="livesum"
)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]


class _Write(NamedTuple):
    """A write that waits for its turn, and the future of its result."""

    work: Work
    result: asyncio.Future[Any]
    until: float
    """When it has waited too long, by the event loop's clock."""


class SQLite:
    """Runs compiled statements on two connections, which the first statements open.

    In WAL mode a read never waits, and a statement takes less time than passing it to a thread. Only what
    waits for the disk or for other processes runs on the thread: above all COMMIT. The writes that arrive
    meanwhile share the next COMMIT.
    """

    dialect = SQLiteDialect_pysqlite(paramstyle="named")

    def __init__(self, path: str, step: Step = no_step) -> None:
        self._path = path
        self._step = step
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._waiting: deque[_Write] = deque()
        self._committing: asyncio.Task[None] | None = None

    async def run(self, statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
        """Return the rows and how many changed. Raise errors of sqlite3, and TimeoutError."""
        work = partial(_run, statement, parameters)
        if not statement.is_read:
            return await self._write(work)
        if self._reader is not None:
            try:
                return work(self._reader)
            except sqlite3.Error:
                self._reader = None  # most likely locked: the thread may wait for the lock
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await self._run_on_thread(self._open_and_read, work)

    async def transaction(self, work: Callable[[Run], Awaitable[T]]) -> T:
        """Return what `work` returns, committed. Raise the errors of `work` and of `run`.

        `work` may await nothing but its statements.
        """
        context = copy_context()  # with the span of this request

        def run_statements(writer: sqlite3.Connection) -> T:
            async def run(statement: Compiled, parameters: Parameters) -> tuple[list[Row], int]:
                return _run(statement, parameters, writer)

            return context.run(_complete, work(run))

        return await self._write(run_statements)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, when it is committed."""
        loop = asyncio.get_running_loop()
        write = _Write(work, loop.create_future(), loop.time() + QUEUE_TIMEOUT_S)
        self._waiting.append(write)
        if self._committing is None:
            self._committing = loop.create_task(self._commit_all())
        else:
            _WAITING.set(len(self._waiting))
        with self._step("COMMIT"):  # includes the wait for earlier writes
            result: T = await write.result
        return result

    async def _commit_all(self) -> None:
        """Commit the writes that wait, group by group, and give each its result or error."""
        while group := self._take_group(asyncio.get_running_loop().time()):
            try:
                results = await self._commit([write.work for write in group])
            except Exception as error:  # nothing of the group is stored
                results = [error] * len(group)
            for write, result in zip(group, results, strict=True):
                if write.result.done():
                    continue
                if isinstance(result, BaseException):
                    write.result.set_exception(result)
                else:
                    write.result.set_result(result)
        self._committing = None

    def _take_group(self, now: float) -> list[_Write]:
        """Return the next writes, without those that were cancelled or have waited too long."""
        group: list[_Write] = []
        while self._waiting and len(group) < MAX_GROUP:
            write = self._waiting.popleft()
            if write.result.done():
                continue
            if write.until < now:
                write.result.set_exception(TimeoutError())
            else:
                group.append(write)
        _WAITING.set(len(self._waiting))
        return group

    async def _commit(self, works: Sequence[Work]) -> list[Any]:
        """Return the result or the error of each of `works`, when they are committed together.

        An error undoes only what its work has written. Raise errors of sqlite3 if nothing is committed.
        """
        try:
            writer = await self._begin()
            try:
                results = [_run_in_savepoint(work, writer) for work in works]
                await self._run_on_thread(writer.execute, "COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back itself
                    writer.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            # A connection that was opened on a read-only disk stays read-only when the disk no longer is.
            if is_read_only(error):  # new connections would share the read-only lock file of these
                self._close_connections()
            elif is_file_unusable(error):  # closing would write the log to a disk that has failed
                self._writer = self._reader = None
            raise
        return results

    async def _begin(self) -> sqlite3.Connection:
        """Begin a transaction with the write lock. Wait for it on the thread."""
        if self._writer is None:
            self._writer = await self._run_on_thread(partial(connect, self._path, lock_timeout_ms=0))
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not is_busy(error):
                raise
            await self._run_on_thread(_wait_for_lock, self._writer)
        return self._writer

    def _open_and_read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Open a connection and run a read, which waits for locks. The next reads there do not wait."""
        with ExitStack() as unless_read:
            reader = connect(self._path, lock_timeout_ms=LOCK_TIMEOUT_MS)
            unless_read.callback(reader.close)
            result = work(reader)
            unless_read.pop_all()
        _set_lock_timeout(reader, 0)
        self._reader = reader
        return result

    async def _run_on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _close_connections(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    async def close(self) -> None:
        """Close the file, which completes the write-ahead log."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown(wait=True)
        self._close_connections()


def connect(path: str, *, lock_timeout_ms: int) -> sqlite3.Connection:
    """Open a connection with automatic commits. Create the file if it is missing."""
    sqlite_file.protect(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    _set_lock_timeout(connection, LOCK_TIMEOUT_MS)
    for pragma in PRAGMAS:
        _execute_with_retries(connection, pragma)
    _set_lock_timeout(connection, lock_timeout_ms)
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


def _set_lock_timeout(connection: sqlite3.Connection, timeout_ms: int) -> None:
    connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")


def _wait_for_lock(writer: sqlite3.Connection) -> None:
    """Begin a transaction when no other process has the write lock. Raise the error of a timeout."""
    _set_lock_timeout(writer, LOCK_TIMEOUT_MS)
    try:
        writer.execute("BEGIN IMMEDIATE")
    finally:
        _set_lock_timeout(writer, 0)


def _run_in_savepoint(work: Work, writer: sqlite3.Connection) -> Any:
    """Return what `work` returns, or its error. Raise the errors that end the whole transaction."""
    writer.execute("SAVEPOINT one")
    try:
        result = work(writer)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and (is_full(error) or is_file_unusable(error)):
            raise
        result = error
        writer.execute("ROLLBACK TO one")
    writer.execute("RELEASE one")
    return result


def _complete(statements: Awaitable[T]) -> T:
    """Return the result of a coroutine that never waits."""
    assert isinstance(statements, Coroutine)
    try:
        statements.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    statements.close()
    raise RuntimeError("A transaction may await nothing but its statements.")


def _run(
    statement: Compiled, parameters: Parameters, connection: sqlite3.Connection
) -> tuple[list[Row], int]:
    cursor = connection.execute(statement.sql, statement.arguments(parameters))
    raw: list[Any] = cursor.fetchall()
    return statement.rows(raw, lambda: (column[0] for column in cursor.description)), cursor.rowcount
