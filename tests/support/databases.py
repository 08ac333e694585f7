"""Which databases a test runs on, and access to one without a server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from contract import strict_json
from persistence import representations, schema, tasks
from persistence.database import Database
from persistence.idempotency import StoredResponse
from persistence.quota import Quota
from persistence.tables import TaskRow

T = TypeVar("T")

DATABASES = ("sqlite", "postgresql")

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Marks tests whose requests are rejected before the database is used, or do the same on any."""

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""Marks tests of what only PostgreSQL does."""


def run_on(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` with the product's own access to the database at `url`, and return its result."""

    async def run() -> T:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def create_task(
    db: Database,
    owner: str,
    *,
    now: datetime,
    title: str = "x",
    key: str | None = None,
    may_insert_owner: bool = False,
) -> dict[str, Any]:
    """Create a task as the handler does, and return it."""
    response = await tasks.create(
        db,
        owner,
        {"title": title},
        key=key,
        render=_render,
        quota=Quota(1_000_000),
        may_insert_owner=may_insert_owner,
        now=now,
    )
    return dict(json.loads(response.content))


def _render(row: TaskRow) -> StoredResponse:
    return StoredResponse(strict_json.dumps(representations.to_task(row)), {})


def list_revisions() -> list[str]:
    """Return the revision of every migration, oldest first."""
    scripts = ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()
    return sorted(script.revision for script in scripts)


def upgrade_to(connection: Connection, revision: str) -> None:
    """Run the migrations up to this revision."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrate(url: str) -> None:
    """Migrate the database at `url` and check its revision."""

    async def upgrade(database: Database) -> None:
        await schema.upgrade(database)
        await schema.check(database)

    run_on(url, upgrade)
