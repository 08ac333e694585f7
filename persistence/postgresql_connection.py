"""A connection to PostgreSQL, on libpq's asynchronous functions.

https://www.postgresql.org/docs/current/libpq-async.html
"""

import asyncio
import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from persistence.statements import Compiled, Row

# https://www.postgresql.org/docs/current/libpq-connect.html; seconds, tcp_user_timeout in ms
CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 2,  # for each host, because the first may not respond
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "client_encoding": "UTF8",
    "prepare_threshold": None,  # psycopg prepares nothing itself
}
CANCEL_GRACE_S = 1  # between the cancel request and the deadline of a statement

_SUCCESSES = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions and shutdown, after
# which the server closes the connection.
_CLOSING_CLASSES = ("08", "57P")
# Of a prepared statement: it is missing, there is another with its name, or its result has other columns.
_PLAN_ERRORS = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.FeatureNotSupported,
)

Values = Sequence[bytes | None]


class PlanLost(Exception):
    """A prepared statement cannot be used. The transaction is over and can be repeated."""


class Connection:
    """Runs one statement at a time.

    psycopg's cursors take several times the CPU, above all because they register the socket with the event
    loop for each statement. Here it stays registered.
    """

    def __init__(self, opened: AsyncConnection[Any], *, prepares: bool) -> None:
        """Take over `opened`. `prepares` is whether to prepare statements."""
        self.used_at = 0.0  # by the event loop's clock, like `until`
        self.until = 0.0  # the deadline of the current use
        self.is_cancelled = False  # then it runs no further statement
        self.is_read_only = False
        self.is_closed = False
        self.has_lost_plan = False
        self._opened = opened
        self._pgconn = opened.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = opened.pgconn.socket
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._transformer = Transformer(opened)
        self._prepares = prepares
        self._prepared: set[bytes] = set()
        self._waiter: asyncio.Future[PGresult | None] | None = None
        self._result: PGresult | None = None
        self._loop.add_reader(self._socket, self._read)

    async def execute(self, sql: bytes) -> PGresult:
        """Run statements without parameters. Raise errors of psycopg, and TimeoutError at the deadline."""
        return await self._send(self._pgconn.send_query, sql)

    async def run(self, statement: Compiled, values: Values) -> tuple[list[Row], int]:
        """Return the rows of a statement, and how many it changed.

        A statement is prepared under a name that is a digest of its SQL: a pooler that passes it to another
        session can only get an error, never the rows of another statement. Raise PlanLost in a transaction,
        errors of psycopg, and TimeoutError at the deadline.
        """
        if not self._prepares or statement.columns is None:
            return self._load(statement, await self._run_unprepared(statement, values))
        try:
            result = await self._run_prepared(statement, values)
        except _PLAN_ERRORS as error:
            self._prepares = False
            self.has_lost_plan = True
            if self._pgconn.transaction_status != TransactionStatus.IDLE:
                raise PlanLost from error
            result = await self._run_unprepared(statement, values)
        return self._load(statement, result)

    async def _run_prepared(self, statement: Compiled, values: Values) -> PGresult:
        name = statement.digest
        if name not in self._prepared:
            self._prepared.add(name)  # before the task may be cancelled
            try:
                await self._send(self._pgconn.send_prepare, name, statement.sql.encode())
            except psycopg.Error:
                self._prepared.discard(name)
                raise
        return await self._send(self._pgconn.send_query_prepared, name, values, None, Format.BINARY)

    async def _run_unprepared(self, statement: Compiled, values: Values) -> PGresult:
        form = Format.TEXT if statement.columns is None else Format.BINARY
        send = self._pgconn.send_query_params
        return await self._send(send, statement.sql.encode(), values, None, None, form)

    def _load(self, statement: Compiled, result: PGresult) -> tuple[list[Row], int]:
        changed = result.command_tuples or 0
        if statement.columns == ():
            return [], changed
        make_row = statement.get_row_maker(partial(_get_names, result))
        self._transformer.set_pgresult(result)
        rows = self._transformer.load_rows(0, result.ntuples, make_row)
        self._transformer.set_pgresult(None)  # releases the memory
        return rows, changed

    async def _send(self, send: Callable[..., None], *arguments: Any) -> PGresult:
        """Return the last result of what `send` sends. Raise its error."""
        self._result = None
        waiter = self._waiter = self._loop.create_future()
        try:
            send(*arguments)
            self._flush()
        except psycopg.Error as error:
            self._fail(error)
        result: PGresult | None = await waiter
        if result is None:
            raise psycopg.OperationalError("the server has sent no result")
        if result.status not in _SUCCESSES:
            raise self._to_error(result)
        return result

    def _to_error(self, result: PGresult) -> psycopg.Error:
        error: psycopg.Error = psycopg.errors.error_from_result(result)
        self.is_read_only |= isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
        if (error.sqlstate or "").startswith(_CLOSING_CLASSES):
            self.close()
        return error

    def _flush(self) -> None:
        """Send what is buffered, now or when the socket is writable."""
        if self._pgconn.flush():
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._fail(error)

    def _read(self) -> None:
        """Read what has arrived, and pass on the result when it is complete."""
        try:
            self._pgconn.consume_input()
            while self._waiter is not None and not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is not None:
                    self._result = result
                    continue
                waiter, self._waiter = self._waiter, None
                result, self._result = self._result, None
                if not waiter.done():
                    waiter.set_result(result)
        except psycopg.Error as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Close the connection, and raise `error` where its result is awaited."""
        waiter, self._waiter = self._waiter, None
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    @property
    def is_usable(self) -> bool:
        """Whether it can run another statement, outside of a transaction."""
        is_sound = not (self.is_cancelled or self.is_read_only or self.has_lost_plan)
        return is_sound and self._pgconn.transaction_status == TransactionStatus.IDLE

    @property
    def is_running(self) -> bool:
        """Whether a statement runs."""
        return self._waiter is not None

    def has_news(self) -> bool:
        """Return whether the server has sent something: most likely it has closed the connection. 2 µs."""
        return bool(self._poll.poll(0))

    async def check(self) -> None:
        """Test the connection with a round trip. Close it if the server does not answer."""
        try:
            async with asyncio.timeout(CANCEL_GRACE_S):
                await self.execute(b"")
        except BaseException as error:
            self.close()
            if not isinstance(error, psycopg.Error | TimeoutError):
                raise

    def time_out(self) -> None:
        """Close the connection, and raise TimeoutError where a result is awaited."""
        self._fail(TimeoutError())

    async def request_cancel(self) -> None:
        """Ask the server to end what runs. It may hit the next statement, so there must be none."""
        with suppress(psycopg.Error):
            await self._opened.cancel_safe(timeout=CANCEL_GRACE_S)

    def check_not_cancelled(self) -> None:
        """Raise TimeoutError if a cancelled COMMIT has succeeded, perhaps on the primary only.

        PostgreSQL then warns that it has committed without waiting for the standby.
        """
        if self.is_cancelled:
            raise TimeoutError

    def close(self) -> None:
        """Close the connection at once."""
        if not self.is_closed:
            self.is_closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._pgconn.finish()


def _get_names(result: PGresult) -> list[str]:
    """Return the names of the columns."""
    return [(result.fname(column) or b"").decode() for column in range(result.nfields)]
