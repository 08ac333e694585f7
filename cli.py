"""The command line: serve, migrate."""

import argparse
import asyncio
import sys
import warnings

# Connexion imports Starlette's test client, which complains of its own HTTP library.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")

import uvicorn
from connexion import AsyncApp

from app import create_app
from contract.problems import Unavailable
from observability import configure_logging
from persistence import engines, schema
from persistence.database import Database
from settings import Settings, SettingsError


def main() -> None:
    """Run the command named on the command line. A wrong setting ends it with status 1, and is named."""
    parser = argparse.ArgumentParser(prog="todo", description="A multi-user todo backend, contract first.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve the API").set_defaults(run=serve)
    commands.add_parser("migrate", help="bring the database to the newest schema").set_defaults(run=migrate)
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        engines.parse(settings.database_url)
    except SettingsError as error:
        sys.exit(_complaint(*str(error).splitlines()))
    except ValueError as error:
        sys.exit(_complaint(f"DATABASE_URL {error}"))
    configure_logging(settings.log_level)
    arguments.run(settings)


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    uvicorn.run(
        "cli:app_from_environment",
        factory=True,
        lifespan="on",  # what goes wrong in the assembly stops the start
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a client may send them too
        timeout_keep_alive=5,
        timeout_graceful_shutdown=7,  # of the 8 s after SIGTERM
    )


def app_from_environment() -> AsyncApp:
    """The app of one worker process."""
    settings = Settings.from_environment()
    configure_logging(settings.log_level)
    return create_app(settings)


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
