"""Brings the database to the newest schema, and tells whether it is there."""

import asyncio
import logging
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import Engine, NullPool, create_engine, event, text

from contract.problems import Unavailable
from persistence import postgresql_pool, sqlite
from persistence.database import Database, Target
from persistence.failures import Incompatible, translated

log = logging.getLogger("todo.schema")

MIGRATIONS = Path(__file__).parent / "migrations"

# Any number will do, as long as every version of this product uses the same one.
_MIGRATION_LOCK = 7_206_014_551
_VERSION = text("SELECT version_num FROM todo_schema_version")
_ANYTHING = text("SELECT 1 AS one")


async def upgrade(db: Database) -> None:
    """Run every migration that is still to run, in one transaction, one server at a time.

    Raises Unavailable while the database cannot be reached.
    """
    try:
        await check(db)
    except Unavailable:  # or there is something to do, which alone is worth importing Alembic for
        await asyncio.to_thread(_upgrade, db.target)


async def keep_trying_to_upgrade(db: Database, *, every_s: float = 1.0) -> None:
    """`upgrade`, again and again until it succeeds: the server may be started before its database."""
    while True:
        try:
            return await upgrade(db)
        except Unavailable as unavailable:
            log.warning("the database cannot be reached; trying again: %s", unavailable.__cause__)
        except Incompatible as incompatible:
            log.error("the schema cannot be brought up to date: %s", incompatible)
        except Exception:
            log.exception("the schema cannot be brought up to date; trying again")
        await asyncio.sleep(every_s)


async def check(db: Database) -> None:
    """Raises Unavailable unless the database answers and has the schema that this code needs."""
    row = await db.fetch_one(_VERSION, {})
    if row is None or row.version_num != newest():
        raise Unavailable("The database has another schema than this server needs.")


async def revision(db: Database) -> str | None:
    """That of the schema which the database has; None where it has none. Raises Unavailable."""
    await db.fetch_one(_ANYTHING, {})
    try:
        row = await db.fetch_one(_VERSION, {})
    except Unavailable:  # it has just answered: what it lacks is the table
        return None
    return None if row is None else str(row.version_num)


@cache
def newest() -> str:
    """The revision that this code needs: the files of the migrations begin with theirs."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _upgrade(target: Target) -> None:
    # 100 ms and 10 MB that a server whose database is up to date does not need.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = _engine(target)
    with translated(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Released with the transaction, so that it works through a pooler. SQLite: BEGIN IMMEDIATE.
            connection.execute(text("SET LOCAL lock_timeout = '3s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _engine(target: Target) -> Engine:
    """For one transaction; SQLite's holds the write lock from its beginning."""
    if not target.is_sqlite:
        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: psycopg.connect(target.name, **postgresql_pool.CONNECT),
            poolclass=NullPool,
            hide_parameters=True,
        )
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite.connect(target.name, patience_ms=sqlite.PATIENCE_MS),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
