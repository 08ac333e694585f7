"""The one way to the database: three functions over SQLite or PostgreSQL."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Executable, make_url
from sqlalchemy.exc import ArgumentError

from persistence.failures import translated
from persistence.postgresql import PostgreSQL
from persistence.sqlite import SQLite
from persistence.statements import Compiled, Parameters, Row, compile_for


def parse(text: str) -> URL:
    """The URL of a database. Raises ValueError when no driver could take it; what it says holds no value."""
    try:
        url = make_url(text)
        if url.get_backend_name() != "sqlite":
            options: dict[str, Any] = {
                **url.translate_connect_args(username="user", database="dbname"),
                **url.query,
            }
            make_conninfo(**options)
    except (ArgumentError, ValueError, psycopg.ProgrammingError):
        raise ValueError(
            "is not a URL that the database driver takes; look at its port and its query"
        ) from None
    return url


class Database:
    """Runs statements, each committed by itself. They are kept compiled: those of a module are few."""

    def __init__(self, url: str) -> None:
        self.url = parse(url)
        self._driver = SQLite(self.url) if self.url.get_backend_name() == "sqlite" else PostgreSQL(self.url)
        self._compiled: dict[Executable, Compiled] = {}

    async def fetch_one(self, statement: Executable, parameters: Parameters) -> Row | None:
        """The first row, or None."""
        rows, _ = await self._run(statement, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, statement: Executable, parameters: Parameters) -> Sequence[Row]:
        """Every row."""
        rows, _ = await self._run(statement, parameters)
        return rows

    async def execute(self, statement: Executable, parameters: Parameters) -> int:
        """How many rows it changed."""
        _, changed = await self._run(statement, parameters)
        return changed

    async def _run(self, statement: Executable, parameters: Parameters) -> tuple[list[Row], int]:
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = compile_for(self._driver.dialect, statement)
        with translated():
            return await self._driver.run(compiled, parameters)

    async def close(self) -> None:
        """Give back every connection."""
        await self._driver.close()
