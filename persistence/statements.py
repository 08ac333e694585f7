"""Compiles SQLAlchemy Core statements once, to SQL for a driver that is called directly."""

import hashlib
from collections import namedtuple
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Executable, Select, TextClause
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Parameters = Mapping[str, Any]
Row = Any
"""A named tuple of the columns that a statement returns: `row.title`."""

Convert = Callable[[Any], Any]
GetNames = Callable[[], Iterable[str]]
"""Returns the names of the columns of textual SQL, as the database says."""


class Compiled(NamedTuple):
    """A statement compiled for one database."""

    sql: str
    digest: bytes
    """Of the SQL, as a name for a prepared statement."""
    is_read: bool
    names: tuple[str, ...]
    """The names of the parameters by their numbers, if the SQL has numbers."""
    constants: dict[str, Any]
    to_database: dict[str, Convert]
    columns: tuple[str, ...] | None
    """None for textual SQL, whose columns only the database knows."""
    from_database: list[tuple[int, Convert]]
    row: Callable[[Sequence[Any]], Row]

    def arguments(self, parameters: Parameters) -> dict[str, Any]:
        """Return the parameters of the SQL as the driver accepts them. Others are ignored."""
        given = {**self.constants, **parameters}
        for name, convert in self.to_database.items():
            given[name] = convert(given[name])
        return given

    def rows(self, raw: Sequence[Sequence[Any]], get_names: GetNames) -> list[Row]:
        """Return the driver's rows as Rows."""
        make = self.get_row_maker(get_names)
        if not self.from_database:
            return [make(values) for values in raw]
        return [make(self._convert_row(values)) for values in raw]

    def get_row_maker(self, get_names: GetNames) -> Callable[[Sequence[Any]], Row]:
        """Return what makes a Row of the values of a row."""
        return self.row if self.columns is not None else _create_row_type(tuple(get_names()))._make

    def _convert_row(self, values: Sequence[Any]) -> list[Any]:
        converted = [*values]
        for position, convert in self.from_database:
            converted[position] = convert(converted[position])
        return converted


Run = Callable[[Compiled, Parameters], Awaitable[tuple[list[Row], int]]]
"""Runs a statement. Returns its rows, and how many rows it changed."""


Step = Callable[[str], AbstractContextManager[None]]
"""Surrounds a step of the driver that is no statement, such as COMMIT, with a span."""

_NOTHING = nullcontext()


def no_step(_name: str) -> AbstractContextManager[None]:
    """Surround nothing."""
    return _NOTHING


def compile_for(dialect: Dialect, statement: Executable) -> Compiled:
    """Compile `statement`. Cache the result: this takes about a millisecond."""
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)
    is_text = isinstance(statement, TextClause)
    columns = [] if is_text else [*statement.exported_columns]  # type: ignore[attr-defined]
    names = tuple(column.name for column in columns)
    binds = compiled.binds
    return Compiled(
        sql=str(compiled),
        digest=compute_digest(str(compiled)),
        is_read=isinstance(statement, Select | TextClause),
        names=tuple(compiled.positiontup or ()),
        constants={name: bind.value for name, bind in binds.items() if not bind.required},
        to_database={
            name: convert
            for name, bind in binds.items()
            if (convert := _adapt(bind.type, dialect).bind_processor(dialect))
        },
        columns=None if is_text else names,
        from_database=[
            (position, convert)
            for position, column in enumerate(columns)
            if (convert := _adapt(column.type, dialect).result_processor(dialect, None))
        ],
        row=_create_row_type(names)._make,
    )


def compute_digest(sql: str) -> bytes:
    """Return a digest of 32 hexadecimal digits."""
    return hashlib.sha256(sql.encode()).hexdigest()[:32].encode()


def _adapt(of_type: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return of_type.dialect_impl(dialect)


def _create_row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names)
