"""The schema and every statement keep the rules of Citus, so that deploy/citus.md can distribute the tables.

https://docs.citusdata.com: what is unique in a distributed table contains the column it is distributed by;
its foreign keys do too, or lead to a reference table; a statement that names the column goes to one machine.
"""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Delete, Engine, Executable, Insert, Select, Update, inspect, text
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList

import persistence
from contract.problems import EmailTaken
from persistence import idempotency, schema, tasks, users
from persistence.database import Database
from persistence.postgresql import PostgreSQL
from tests.deploy.pages import blocks
from tests.postgresql import new_database
from tests.server import engine_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
COLUMN = "user_id"
DISTRIBUTED = {"tasks", "idempotency_keys"}
REFERENCE = {"users"}
# What a machine refuses is told by the coordinator in the same words, but without naming the constraint in a
# field of its own; and each shard's bears the shard's number.
AS_CITUS_REFUSES = """
CREATE FUNCTION refuse_missing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NOT EXISTS (SELECT FROM users WHERE id = NEW.user_id) THEN
    RAISE 'insert on table "tasks_102008" violates foreign key constraint "tasks_user_id_fkey_102008"'
      USING ERRCODE = 'foreign_key_violation';
  END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_missing BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION refuse_missing();
CREATE FUNCTION refuse_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF EXISTS (SELECT FROM users WHERE email = NEW.email) THEN
    RAISE 'duplicate key value violates unique constraint "users_email_key_102040"'
      USING ERRCODE = 'unique_violation';
  END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_taken BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse_taken();
"""
FOR_EVERYONE = {idempotency._SWEEP}  # what nobody's request waits for
STATEMENTS, SWEEP = blocks("citus.md", "sql")


@pytest.fixture(scope="module")
def engine(postgresql: str) -> Iterator[Engine]:
    """A PostgreSQL that is migrated."""
    url = new_database(postgresql)
    asyncio.run(migrate(url))
    engine = engine_of(url)
    yield engine
    engine.dispose()


async def migrate(url: str) -> None:
    database = Database(url)
    try:
        await schema.upgrade(database)
    finally:
        await database.close()


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


@pytest.fixture
def citus_like(postgresql: str) -> str:
    """The URL of a migrated PostgreSQL that refuses as Citus does."""
    url = new_database(postgresql)
    asyncio.run(migrate(url))
    engine = engine_of(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(AS_CITUS_REFUSES)
    engine.dispose()
    return url


async def with_database(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    database = Database(url)
    try:
        return await work(database)
    finally:
        await database.close()


def test_first_task_of_an_outside_user_makes_their_row(citus_like: str):
    async def first_task(db: Database) -> Any:
        new = {"title": "Buy milk", "description": None, "completed": False, "now": NOON}
        make = partial(tasks.create, db, "ada", **new)
        return await users.provisioned(db, "ada", make, is_allowed=True, now=NOON)

    assert asyncio.run(with_database(citus_like, first_task)).title == "Buy milk"


def test_second_account_of_an_email_is_refused(citus_like: str):
    async def two_accounts(db: Database) -> None:
        account = {"email": "ada@example.com", "password_hash": "x", "now": NOON}
        await users.create(db, "ada", **account)
        await users.create(db, "eve", **account)

    with pytest.raises(EmailTaken):
        asyncio.run(with_database(citus_like, two_accounts))
