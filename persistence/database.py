"""The one way to the database: four functions over SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from persistence import engines
from persistence.failures import translated

Parameters = Mapping[str, Any]
Row = sqlalchemy.Row[Any]


class Database:
    """A pool of connections. Each call is one statement, committed by itself, or a `transaction`."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = engines.create(engines.parse(url))
        self._transactional = engines.transactional(self.engine)

    async def fetch_one(self, statement: Executable, parameters: Parameters) -> Row | None:
        """The first row, or None."""
        with translated():
            async with self.engine.connect() as connection:
                return (await connection.execute(statement, parameters)).first()

    async def fetch_all(self, statement: Executable, parameters: Parameters) -> Sequence[Row]:
        """Every row."""
        with translated():
            async with self.engine.connect() as connection:
                return (await connection.execute(statement, parameters)).all()

    async def execute(self, statement: Executable, parameters: Parameters) -> int:
        """How many rows it changed."""
        with translated():
            async with self.engine.connect() as connection:
                return (await connection.execute(statement, parameters)).rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements are kept together, or not at all when the block raises.

        On SQLite it holds the write lock from its beginning, since a read that turns into a write fails.
        """
        with translated():
            async with self._transactional.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Give back every connection."""
        await self.engine.dispose()
