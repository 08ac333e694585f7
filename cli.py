"""The command line: serve, migrate."""

import argparse
import asyncio
import sys
import warnings

# Connexion imports Starlette's test client, which complains of its own HTTP library.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")

import server
from contract.problems import Unavailable
from observability import configure_logging
from persistence import schema
from persistence.database import Database, parse
from settings import Settings, SettingsError


def main() -> None:
    """Run the command named on the command line. A wrong setting ends it with status 1, and is named."""
    parser = argparse.ArgumentParser(prog="todo", description="A multi-user todo backend, contract first.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve the API").set_defaults(run=server.run)
    commands.add_parser("migrate", help="bring the database to the newest schema").set_defaults(run=migrate)
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        parse(settings.database_url)
    except SettingsError as error:
        sys.exit(_complaint(*str(error).splitlines()))
    except ValueError as error:
        sys.exit(_complaint(f"DATABASE_URL {error}"))
    configure_logging(settings.log_level)
    arguments.run(settings)


def migrate(settings: Settings) -> None:
    """Run the migrations that are still to run."""
    asyncio.run(_migrate(settings.database_url))


async def _migrate(database_url: str) -> None:
    database = Database(database_url)
    try:
        await schema.upgrade(database)
    except Unavailable:
        sys.exit("DATABASE_URL: the database cannot be reached")
    finally:
        await database.close()


def _complaint(*lines: str) -> str:
    return "\n  ".join(("The server does not start:", *lines))


if __name__ == "__main__":
    main()
