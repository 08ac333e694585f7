"""`todo export`: a user's data as JSON Lines."""

import asyncio
import sys
from argparse import Namespace
from typing import Any, BinaryIO

from cli import user
from cli.errors import WrongUsage
from cli.open_database import open_database
from cli.progress import show_progress
from cli.replace_file import replace_file
from contract import strict_json
from persistence import representations, task_pages, tasks, users
from persistence.database import Database
from settings import Settings

PAGE_SIZE = 1000


def run(settings: Settings, arguments: Namespace) -> None:
    """Write to standard output, or to a file that appears under its name when it is complete."""
    if arguments.output is None:
        if arguments.force:
            raise WrongUsage("--force needs --output")
        asyncio.run(_export(settings, arguments.user, sys.stdout.buffer, is_watched=False))
        return
    with replace_file(arguments.output, is_forced=arguments.force) as beside, beside.open("wb") as file:
        asyncio.run(_export(settings, arguments.user, file, is_watched=True))


async def _export(settings: Settings, name: str, file: BinaryIO, *, is_watched: bool) -> None:
    async with open_database(settings) as db:
        user_id = await user.get_user_id(db, name)
        account = await users.find_account(db, user_id)
        fields = {"id": user_id} if account is None else representations.to_account(account)
        file.write(_serialize({"type": "user"} | fields))
        total = await tasks.count(db, user_id)
        with show_progress("Exporting tasks", total, is_wanted=is_watched) as advance:
            async for rows in _read_pages(db, user_id):
                file.writelines(_serialize(representations.to_task(row)) for row in rows)
                advance(len(rows))


async def _read_pages(db: Database, owner: str) -> Any:
    """Yield all pages, oldest first, so that concurrent changes move no task and new tasks come last."""
    cursor = None
    while True:
        page = await task_pages.get(
            db, owner, status="all", sort="created", order="asc", limit=PAGE_SIZE, cursor=cursor
        )
        yield page.rows
        if (cursor := page.next_cursor) is None:
            return


def _serialize(value: Any) -> bytes:
    return strict_json.dumps(value) + b"\n"
