"""SQLAlchemy engines as this project uses them: autocommit, bounded waits, no value in an error."""

import sqlite3
import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SQLITE_PRAGMAS = (
    "PRAGMA busy_timeout = 3000",  # ms; below the 5 s within which a failure is answered
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer
    "PRAGMA synchronous = FULL",  # an acknowledged write survives a power failure
    "PRAGMA foreign_keys = ON",
)

# https://www.postgresql.org/docs/current/libpq-connect.html; seconds, tcp_user_timeout in ms
POSTGRESQL_CONNECT = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # a pooler in transaction mode gives wrong rows with prepared statements
}


def parse(text: str) -> URL:
    """The URL of a database. Raises ValueError when no driver could take it; what it says holds no value."""
    try:
        url = make_url(text)
        if url.get_backend_name() != "sqlite":
            options: dict[str, Any] = {
                **url.translate_connect_args(username="user", database="dbname"),
                **url.query,
            }
            make_conninfo(**options)
    except (ArgumentError, ValueError, psycopg.ProgrammingError):
        raise ValueError(
            "is not a URL that the database driver takes; look at its port and its query"
        ) from None
    return url


def create(url: URL) -> AsyncEngine:
    """An engine that commits each statement by itself: one round trip where BEGIN and COMMIT make three."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,
        connect_args=POSTGRESQL_CONNECT,
        pool_size=10,
        max_overflow=0,
        pool_timeout=3,
        pool_pre_ping=True,  # Neon and poolers close idle connections
        pool_recycle=240,  # Neon suspends after 300 s
        pool_use_lifo=True,  # so that a quiet server lets connections go
    )


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        pool_size=5,
        max_overflow=0,
        pool_timeout=3,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            _run_patiently(cursor, pragma)
        cursor.close()

    return engine


def _run_patiently(cursor: Any, pragma: str, *, for_s: float = 2.0) -> None:
    """Run it, and again while another process changes the journal mode: that does not wait its turn."""
    deadline = time.monotonic() + for_s
    while True:
        try:
            cursor.execute(pragma)
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def transactional(engine: AsyncEngine) -> AsyncEngine:
    """The same pool, with BEGIN before the first statement and COMMIT after the last."""
    if engine.dialect.name != "sqlite":
        return engine.execution_options(isolation_level="READ COMMITTED")
    with_begin = engine.execution_options(isolation_level="SERIALIZABLE")

    @event.listens_for(with_begin.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return with_begin
