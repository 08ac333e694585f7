"""The schema: the migrations make what persistence/tables.py says, and every list is read from an index."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, func, inspect, select, text

from persistence import schema, task_pages
from persistence.database import Database
from persistence.tables import metadata, tasks
from tests.support.server import open_engine

USERS, TASKS_EACH = 5, 2000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDDLE = {"created": NOON, "updated": NOON, "title": "8"}  # of what fill() stores


async def upgrade(url: str) -> None:
    database = Database(url)
    try:
        await schema.upgrade(database)
        await schema.check(database)
    finally:
        await database.close()


@pytest.fixture(scope="module")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """A migrated database with tasks of several users in it."""
    url = new_database()
    asyncio.run(upgrade(url))
    engine = open_engine(url)
    with engine.begin() as connection:
        fill(connection)
    yield engine
    engine.dispose()


def fill(connection: Connection) -> None:
    connection.execute(
        text("INSERT INTO users (id, created_at) VALUES (:id, '2026-11-21')"),
        [{"id": f"user-{number}"} for number in range(USERS)],
    )
    columns = "user_id, title, completed, created_at, updated_at"
    connection.execute(
        text(f"INSERT INTO tasks ({columns}) VALUES (:owner, :title, :completed, :at, :at)"),
        [
            {"owner": f"user-{n % USERS}", "title": f"{n % 7919:x}", "completed": n % 2 == 0, "at": at(n)}
            for n in range(USERS * TASKS_EACH)
        ],
    )
    connection.execute(text("ANALYZE"))


def at(number: int) -> str:
    return f"2026-11-{number % 28 + 1:02} 09:30:00.{number:06}"


def shape(engine: Engine) -> dict[str, Any]:
    """Each table of the database: its columns and indexes."""
    inspector = inspect(engine)
    return {
        name: (
            {column["name"]: column["nullable"] for column in inspector.get_columns(name)},
            sorted(str(index["name"]) for index in inspector.get_indexes(name)),
        )
        for name in inspector.get_table_names()
    }


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_statements_see_the_columns_that_the_migrations_made(engine: Engine, table: Any):
    columns, _ = shape(engine)[table.name]
    keys = set(inspect(engine).get_pk_constraint(table.name)["constrained_columns"])
    # SQLite calls a key nullable that is not declared NOT NULL.
    made = {name: nullable and name not in keys for name, nullable in columns.items()}
    assert made == {column.name: bool(column.nullable) for column in table.columns}


def test_migrations_make_no_table_that_statements_do_not_know(engine: Engine):
    assert shape(engine).keys() == {*metadata.tables, "todo_schema_version"}


def test_newest_revision_is_the_one_that_alembic_goes_to():
    script = ScriptDirectory(str(schema.MIGRATIONS))
    assert script.get_heads() == [schema.newest()]


def test_upgrade_of_the_newest_schema_changes_nothing(engine: Engine):
    with engine.connect() as connection:
        before = shape(engine), connection.scalar(select(func.count()).select_from(tasks))
    asyncio.run(upgrade(engine.url.set(drivername=engine.dialect.name).render_as_string(hide_password=False)))
    with engine.connect() as connection:
        assert (shape(engine), connection.scalar(select(func.count()).select_from(tasks))) == before


def test_servers_that_upgrade_at_once_all_succeed(new_database: Callable[[], str]):
    spawning, url = get_context("spawn"), new_database()
    together = spawning.Barrier(4)
    servers = [spawning.Process(target=upgrade_together, args=(together, url)) for _ in range(4)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(timeout=30)
    assert [server.exitcode for server in servers] == [0, 0, 0, 0]


def upgrade_together(others: Barrier, url: str) -> None:
    others.wait(timeout=20)
    asyncio.run(upgrade(url))


@pytest.mark.parametrize("key", task_pages._STATEMENTS, ids=lambda key: "-".join(map(str, key)))
def test_page_is_one_range_of_an_index_without_a_sort(engine: Engine, key: tuple[str, str, bool, bool]):
    sort, order, filtered, continued = key
    column = {"created": "created_at", "updated": "updated_at", "title": "title"}[sort]
    index = f"tasks_by_status_{column}" if filtered else f"tasks_by_{column}"
    plan = explained(engine, task_pages._STATEMENTS[key], sort=sort)
    if engine.dialect.name == "sqlite":
        after = f" AND {column}{'>' if order == 'asc' else '<'}?" if continued else ""
        assert f"USING INDEX {index} (user_id=?{' AND completed=?' if filtered else ''}{after})" in plan
        assert "TEMP B-TREE" not in plan
    else:
        assert f"using {index} on tasks" in plan
        assert "Sort" not in plan
        assert "Filter" not in plan


def explained(engine: Engine, statement: Select[Any], *, sort: str) -> str:
    """How the database would run it for one of several users with many tasks."""
    values = {"owner": "user-1", "completed": True, "at_most": 51, "value": MIDDLE[sort], "task_id": 500}
    used = {name: values[name] for name in statement.compile().params if name in values}
    sql = statement.params(used).compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {sql}"))
