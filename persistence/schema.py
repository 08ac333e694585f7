"""Migrate the database to the newest schema, and check which one it has."""

import asyncio
import logging
import sqlite3
from functools import cache
from itertools import chain, repeat
from pathlib import Path

import psycopg
from sqlalchemy import Engine, NullPool, Select, column, create_engine, event, select, table, text

from contract.problems import Unavailable
from persistence import postgresql_connection, sqlite, sqlite_file
from persistence.database import Database, Target
from persistence.errors import Incompatible, NotMigrated, translate_errors

log = logging.getLogger("todo.schema")

MIGRATIONS = Path(__file__).parent / "migrations"

# Arbitrary, but the same in every version of this product.
_MIGRATION_LOCK = 7_206_014_551
VERSION_TABLE = "todo_schema_version"  # not alembic_version: a frontend may use the same database
_VERSION: Select[tuple[str]] = select(column("version_num")).select_from(table(VERSION_TABLE))
_PING = text("SELECT 1 AS one")


async def upgrade(db: Database) -> str:
    """Run the pending migrations in one transaction, one server at a time.

    Return the revision, which may be newer than this code: migrations only add. Raise Unavailable while the
    database cannot be reached.
    """
    try:
        return await check(db)
    except Unavailable:  # or migrations are pending
        return await asyncio.to_thread(_upgrade, db.target)


async def prepare(db: Database, *, may_migrate: bool) -> None:
    """Upgrade, or wait for `todo migrate`, until the database is ready. The database may start later.

    Log each failure once, and a warning when the schema is newer than this code.
    """
    failure = ""
    for wait_s in chain((1, 2, 4), repeat(5)):
        try:
            found = await (upgrade(db) if may_migrate else check(db))
            break
        except (Unavailable, Incompatible) as error:
            if failure != (failure := _describe(error, db.target)):
                level = logging.ERROR if isinstance(error, Incompatible) else logging.WARNING
                log.log(level, "the database is not ready", extra={"reason": failure})
        except Exception as error:
            if failure != (failure := type(error).__name__):
                log.exception("the schema cannot be migrated")
        await asyncio.sleep(wait_s)
    if failure:
        log.info("the database is ready")
    if is_newer(found):
        log.warning("the schema is newer than this server", extra={"found": found, "known": get_newest()})


async def check(db: Database) -> str:
    """Return the revision. Raise Unavailable if the database does not answer or has an older schema."""
    row = await db.fetch_one(_VERSION, {})
    if row is None or is_older(row.version_num):
        raise NotMigrated
    return str(row.version_num)


async def find_revision(db: Database) -> str | None:
    """Return the revision of the schema, None without tables. Raise Unavailable."""
    await db.fetch_one(_PING, {})
    try:
        row = await db.fetch_one(_VERSION, {})
    except Unavailable:  # the database responds, so only the table is missing
        return None
    return None if row is None else str(row.version_num)


@cache
def _find_revisions() -> frozenset[str]:
    """Return the revisions that this code knows: the name of each migration's file begins with one."""
    files = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return frozenset(file.name.partition("_")[0] for file in files)


def get_newest() -> str:
    """Return the revision that this code needs."""
    return max(_find_revisions())


def is_older(found: str | None) -> bool:
    """Return whether a database with this revision, None without tables, has to be migrated."""
    return found is None or (found != get_newest() and not is_newer(found))


def is_newer(found: str) -> bool:
    """Return whether this code does not know the revision: a later version has migrated the database."""
    return found not in _find_revisions()


def _describe(error: Exception, target: Target) -> str:
    """Return why the database cannot be used, without host and role of PostgreSQL."""
    cause = None if isinstance(error, NotMigrated) else error.__cause__
    if isinstance(cause, psycopg.Error):
        return f"{type(cause).__name__} {cause.sqlstate or ''}".rstrip()
    if isinstance(cause, sqlite3.Error) and target.is_sqlite:
        return sqlite_file.describe_problem(target.name) or str(cause)
    return error.detail if isinstance(error, Unavailable) else str(error)


def _upgrade(target: Target) -> str:
    # Imported late: 100 ms and 10 MB, which a server with a migrated database does not need.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    engine = _create_engine(target)
    with translate_errors(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Released with the transaction, so that it works through a pooler. SQLite: BEGIN IMMEDIATE.
            connection.execute(text("SET LOCAL lock_timeout = '3s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = context.get_current_revision()
        if found is not None and not is_older(found):  # another server has migrated
            return found
        command.upgrade(config, "head")
        log.info("the schema is migrated", extra={"from": found, "to": get_newest()})
    return get_newest()


def _create_engine(target: Target) -> Engine:
    """Return an engine for one transaction, which on SQLite starts with the write lock."""
    if not target.is_sqlite:
        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: psycopg.connect(target.name, **postgresql_connection.CONNECT_OPTIONS),
            poolclass=NullPool,
            hide_parameters=True,
        )
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite.connect(target.name, lock_timeout_ms=sqlite.LOCK_TIMEOUT_MS),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
