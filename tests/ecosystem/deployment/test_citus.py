"""The schema and every statement keep the rules of Citus, so that deploy/citus.md can distribute the tables.

https://docs.citusdata.com: what is unique in a distributed table contains the column it is distributed by;
its foreign keys do too, or lead to a reference table; a statement that names the column goes to one machine.
"""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Delete, Engine, Executable, Insert, Select, Update, inspect, text
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList

import persistence
from persistence import idempotency, schema
from persistence.postgresql import PostgreSQL
from tests.ecosystem.deployment.citus import with_database
from tests.ecosystem.deployment.pages import blocks
from tests.support.postgresql import new_database
from tests.support.server import open_engine

COLUMN = "user_id"
DISTRIBUTED = {"tasks", "idempotency_keys"}
REFERENCE = {"users"}
FOR_EVERYONE = {idempotency._SWEEP}  # what nobody's request waits for
STATEMENTS, SWEEP = blocks("citus.md", "sql")


@pytest.fixture(scope="module")
def engine(postgresql: str) -> Iterator[Engine]:
    """A PostgreSQL that is migrated."""
    url = new_database(postgresql)
    asyncio.run(with_database(url, schema.upgrade))
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("table", sorted(DISTRIBUTED))
def test_whatever_is_unique_is_so_for_a_user(engine: Engine, table: str):
    key = inspect(engine).get_pk_constraint(table)["constrained_columns"]
    assert COLUMN in key
    assert [columns for columns in unique(engine, table) if COLUMN not in columns] == []


def unique(engine: Engine, table: str) -> list[Any]:
    """The columns of each index that lets nothing in twice, but the primary key's."""
    return [found["column_names"] for found in inspect(engine).get_indexes(table) if found["unique"]]


def test_only_the_email_is_unique_across_users(engine: Engine):
    assert unique(engine, "users") == [["email"]]


def test_foreign_keys_lead_to_copies_on_every_machine(engine: Engine):
    inspector = inspect(engine)
    led_to = {
        table: {key["referred_table"] for key in inspector.get_foreign_keys(table)}
        for table in inspector.get_table_names()
    }
    assert {table: to for table, to in led_to.items() if to} == dict.fromkeys(DISTRIBUTED, REFERENCE)


def test_every_table_has_its_place_on_the_page(engine: Engine):
    distributed = dict(re.findall(r"create_distributed_table\('(\w+)', '(\w+)'", STATEMENTS))
    assert distributed == dict.fromkeys(DISTRIBUTED, COLUMN)
    assert set(re.findall(r"create_reference_table\('(\w+)'\)", STATEMENTS)) == REFERENCE
    left = {"signing_keys", "todo_schema_version"}
    assert set(inspect(engine).get_table_names()) == DISTRIBUTED | REFERENCE | left


def test_statements_of_the_page_leave_the_schema_as_it_was(engine: Engine):
    def keys() -> list[Any]:
        return [inspect(engine).get_foreign_keys(table) for table in sorted(DISTRIBUTED)]

    before = keys()
    assert all(before)
    with engine.connect() as connection:
        for statement in STATEMENTS.split(";\n"):
            if "create_" not in statement:  # Citus's own functions
                connection.execute(text(statement or "SELECT"))
        connection.execute(text(SWEEP))
    assert keys() == before


def statements() -> dict[str, Executable]:
    """Every statement of persistence/, by its module and name."""
    modules = [
        importlib.import_module(f"persistence.{module.name}")
        for module in pkgutil.iter_modules(persistence.__path__)
        if not module.ispkg
    ]
    return {f"{module.__name__}.{name}": found for module in modules for name, found in held_by(module)}


def held_by(module: ModuleType) -> Iterator[tuple[str, Executable]]:
    for name, held in vars(module).items():
        if isinstance(held, Executable) and isinstance(held, ClauseElement):
            yield name, held
        elif isinstance(held, dict):
            yield from ((f"{name}{key}", value) for key, value in held.items() if isinstance(value, Select))


def sql_of(statement: Any) -> str:
    return " ".join(str(statement.compile(dialect=PostgreSQL.dialect)).split())


ON_DISTRIBUTED = {
    name: statement
    for name, statement in statements().items()
    if DISTRIBUTED.intersection(re.findall(r"\w+", sql_of(statement)))
}


def test_statements_are_found():
    names = [name.partition(".")[2].partition("(")[0] for name in ON_DISTRIBUTED]
    assert names.count("task_pages._STATEMENTS") == 24
    for name in ("_INSERT", "_GET", "_UPDATE", "_COMPLETE", "_DELETE"):
        assert f"tasks.{name}" in names
    for name in ("_CLAIM", "_FIND", "_KEEP", "_SWEEP"):
        assert f"idempotency.{name}" in names


@pytest.mark.parametrize("name", ON_DISTRIBUTED)
def test_statement_goes_to_the_machine_of_its_owner(name: str):
    statement = ON_DISTRIBUTED[name]
    if statement in FOR_EVERYONE:
        assert isinstance(statement, Delete)
    elif isinstance(statement, Insert):
        assert re.match(r"INSERT INTO \w+ \(user_id, .*?\) VALUES \(%\(owner\)s", sql_of(statement))
    else:
        assert isinstance(statement, Select | Update | Delete)
        [table] = {from_.name for from_ in froms_of(statement)}
        assert f"{table}.user_id = :owner" in [str(found) for found in conditions(statement.whereclause)]


def froms_of(statement: Any) -> list[Any]:
    return statement.get_final_froms() if isinstance(statement, Select) else [statement.table]


def conditions(clause: Any) -> Iterator[Any]:
    """All that must hold, each by itself."""
    if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from conditions(part)
    else:
        yield clause
