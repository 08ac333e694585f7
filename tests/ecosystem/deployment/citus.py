"""What tests of the database do with it past the API."""

from collections.abc import Awaitable, Callable
from typing import Any

from persistence.database import Database


async def with_database(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    database = Database(url)
    try:
        return await work(database)
    finally:
        await database.close()
