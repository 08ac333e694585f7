"""`todo backup`: a copy of the SQLite database."""

from argparse import Namespace
from pathlib import Path

from cli.errors import CommandError
from cli.replace_file import replace_file
from persistence import sqlite_file
from persistence.database import parse_url
from settings import Settings


def run(settings: Settings, arguments: Namespace) -> None:
    """Write a consistent copy to the file, while servers read and write the database."""
    target = parse_url(settings.database_url)
    if not target.is_sqlite:
        raise CommandError("DATABASE_URL is PostgreSQL: use pg_dump, as docs/operations.md says")
    if not Path(target.name).exists():
        raise CommandError(f"{target.name} does not exist")
    with replace_file(arguments.file, is_forced=arguments.force) as beside:
        try:
            sqlite_file.copy(target.name, str(beside))
        except sqlite_file.CopyError as error:
            raise CommandError(f"no backup: {error}") from None
