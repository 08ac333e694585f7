"""The database of a command, and `todo migrate`."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.errors import CommandError
from observability import logs
from persistence import schema
from persistence.database import Database
from persistence.errors import Incompatible
from settings import Settings


def migrate(settings: Settings, _arguments: Namespace) -> None:
    """Run the migrations that are still to run, and say which schema the database has now."""
    logs.configure(settings.log_level, with_colour=not settings.no_color)
    asyncio.run(_migrate(settings.database_url))


async def _migrate(database_url: str) -> None:
    database = Database(database_url)
    try:
        found = await schema.upgrade(database)
    except Incompatible as incompatible:
        raise CommandError(str(incompatible)) from None
    finally:
        await database.close()
    if schema.is_newer(found):
        print(  # noqa: T201
            f"the database has schema {found}, of a newer version of this program, which works with it:"
            " nothing was migrated"
        )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Open the database for a command.

    Raise CommandError if its schema is older than this program's, and Unavailable.
    """
    database = Database(settings.database_url)
    try:
        found = await revision(database)
        if found is None:
            raise CommandError("the database has no tables yet: run `todo migrate`")
        if schema.is_older(found):
            needed = schema.newest()
            raise CommandError(
                f"the database has schema {found}, and this program needs {needed}: run `todo migrate`"
            )
        yield database
    finally:
        await database.close()


async def revision(database: Database) -> str | None:
    """Return the revision of the schema, None without one. Create no file. Raise Unavailable."""
    return None if _is_not_made(database) else await schema.revision(database)


def _is_not_made(database: Database) -> bool:
    return database.target.is_sqlite and not Path(database.target.name).exists()
