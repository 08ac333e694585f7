"""Opens the database for a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.errors import CommandError
from persistence import schema
from persistence.database import Database
from settings import Settings


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database for a command.

    Raise CommandError if its schema is older than this program's, and Unavailable.
    """
    database = Database(settings.database_url)
    try:
        found = await find_revision(database)
        if found is None:
            raise CommandError("the database has no tables yet: run `todo migrate`")
        if schema.is_older(found):
            needed = schema.get_newest()
            raise CommandError(
                f"the database has schema {found}, and this program needs {needed}: run `todo migrate`"
            )
        yield database
    finally:
        await database.close()


async def find_revision(database: Database) -> str | None:
    """Return the revision of the schema, None without one. Create no file. Raise Unavailable."""
    return None if _is_missing(database) else await schema.find_revision(database)


def _is_missing(database: Database) -> bool:
    return database.target.is_sqlite and not Path(database.target.name).exists()
