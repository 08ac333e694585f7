"""`todo import`: a user's tasks from JSON Lines."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cli import import_lines
from cli.errors import CommandError
from cli.import_lines import CheckedTasks
from cli.open_database import open_database
from cli.progress import run_with_pause, show_progress
from contract.problems import KeyInUse, UnknownUser
from contract.validation import create_validator
from persistence import imports, tasks, users
from persistence.database import Database
from persistence.imports import NewTask
from security import accounts
from settings import Settings

NO_SUCH_USER = "there is no such user"


def run(settings: Settings, arguments: Namespace) -> None:
    """Check every line, then store the tasks and print how many."""
    now = datetime.now(UTC)
    with _open_source(arguments.file) as (file, size), show_progress("Checking lines", size) as advance:
        checked = import_lines.check_lines(file, now=now, advance=advance)
    stored = asyncio.run(_import(settings, arguments.user, checked, is_added=arguments.add, now=now))
    print(f"imported {stored} of {checked.count} tasks")  # noqa: T201


@contextmanager
def _open_source(path: Path | None) -> Iterator[tuple[BinaryIO, int | None]]:
    """Yield the file or standard input, and its length in bytes if it is known."""
    if path is None:
        yield sys.stdin.buffer, None
        return
    with path.open("rb") as file:
        yield file, path.stat().st_size


async def _import(
    settings: Settings, name: str, checked: CheckedTasks, *, is_added: bool, now: datetime
) -> int:
    """Store the tasks that an interrupted import of the same file has not stored. Return how many."""
    async with open_database(settings) as db:
        owner = await _find_owner(db, name, is_outside=settings.has_outside_issuer)
        before = await _begin(db, owner, checked.digest, is_outside=settings.has_outside_issuer, now=now)
        if before is None and not is_added and await tasks.count(db, owner):
            await imports.remove_progress(db, owner, checked.digest)
            raise CommandError("the user has tasks already: --add imports these too")
        stored = before or 0
        with show_progress("Importing tasks", checked.count) as advance:
            advance(stored)
            for rows in checked.batches(imports.BATCH_SIZE, after=stored):
                await run_with_pause(_store(db, owner, rows, file=checked.digest, before=stored, now=now))
                stored += len(rows)
                advance(len(rows))
        await imports.remove_progress(db, owner, checked.digest)
    return stored - (before or 0)


async def _find_owner(db: Database, name: str, *, is_outside: bool) -> str:
    """Return the user's id. A user of an outside issuer may be new. Raise CommandError."""
    user_id = await users.find_id(db, name, email=accounts.normalize_email(name))
    if user_id is not None:
        return user_id
    if not is_outside or create_validator("UserId").find_violations(name):
        raise CommandError(NO_SUCH_USER)
    return name


async def _begin(db: Database, owner: str, file: str, *, is_outside: bool, now: datetime) -> int | None:
    """Begin the import. If the row of an outside issuer's user is missing, insert it. Raise CommandError."""
    begin = partial(imports.begin, db, owner, file, now)
    try:
        return await users.run_for_owner(db, owner, begin, may_insert=is_outside, now=now)
    except UnknownUser:
        raise CommandError(NO_SUCH_USER) from None


async def _store(
    db: Database, owner: str, rows: Sequence[NewTask], *, file: str, before: int, now: datetime
) -> None:
    """Store a batch of tasks. Raise CommandError if the same file is imported by another process."""
    try:
        await imports.store(db, owner, rows, file=file, before=before, now=now)
    except KeyInUse:
        raise CommandError("the same file is being imported elsewhere") from None
