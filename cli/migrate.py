"""`todo migrate`: migrate the database to the newest schema."""

import asyncio
from argparse import Namespace

from cli.errors import CommandError
from contract.validation import read_version
from observability import logs
from persistence import schema
from persistence.database import Database
from persistence.errors import Incompatible
from settings import Settings


def run(settings: Settings, _arguments: Namespace) -> None:
    """Run the pending migrations. Say if the schema is newer than this program."""
    logs.configure(
        settings.log_level,
        version=read_version(),
        with_colour=not settings.no_color,
    )
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
