"""Brings the database to the newest schema, and tells whether it is there."""

import asyncio
import logging
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from contract.problems import Unavailable
from persistence.database import Database
from persistence.failures import Incompatible

log = logging.getLogger("todo.schema")

# Any number will do, as long as every version of this product uses the same one.
_MIGRATION_LOCK = 7_206_014_551
_VERSION = text("SELECT version_num FROM todo_schema_version")


async def upgrade(db: Database) -> None:
    """Run every migration that is still to run, in one transaction, one server at a time.

    Raises Unavailable while the database cannot be reached.
    """
    async with db.transaction() as connection:
        await connection.run_sync(_upgrade)


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


@cache
def newest() -> str:
    """The revision that this code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # there is at least one migration
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Released with the transaction, so that it works through a pooler. SQLite: BEGIN IMMEDIATE.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
