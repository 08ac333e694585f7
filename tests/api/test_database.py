"""The schema, the indexes and the statements on both databases, used directly, without a server."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, func, insert, inspect, select, text

from contract.problems import KeyReused, Unavailable
from persistence import idempotency, removals, schema, tables, task_pages, tasks, users
from persistence.database import Database, Transaction
from persistence.idempotency import StoredResponse
from persistence.tables import metadata
from persistence.tables import tasks as task_table
from persistence.tables import users as user_table
from tests.support.databases import create_task, migrate, on_sqlite, run_on
from tests.support.server import open_engine

USERS, TASKS_EACH = 5, 2000
NOON, HOUR = datetime(2026, 11, 21, 12, tzinfo=UTC), timedelta(hours=1)
MIDDLE = {"created": NOON, "updated": NOON, "title": "8"}  # of the tasks that fill() stores


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str]) -> str:
    """The URL of a migrated database."""
    url = new_database()
    migrate(url)
    return url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    """That database, with tasks of several users in it."""
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")  # one commit, not one for each row
        fill(connection)
        connection.exec_driver_sql("COMMIT")
    yield engine
    engine.dispose()


def fill(connection: Connection) -> None:
    owners = [f"user-{number}" for number in range(USERS)]
    connection.execute(insert(user_table), [{"id": owner, "created_at": NOON} for owner in owners])
    times = [NOON + timedelta(days=n % 28 - 14, microseconds=n) for n in range(USERS * TASKS_EACH)]
    rows = [
        {"user_id": owners[n % USERS], "title": f"{n % 7919:x}", "completed": n % 2 == 0}
        | {"created_at": time, "updated_at": time, "version": 1}
        for n, time in enumerate(times)
    ]
    connection.execute(insert(task_table), rows)
    connection.execute(text("ANALYZE"))


def describe(engine: Engine) -> dict[str, Any]:
    """Return the columns, those that may be null, and the indexes of each table."""
    inspector = inspect(engine)
    described = {}
    for name in inspector.get_table_names():
        keys = inspector.get_pk_constraint(name)["constrained_columns"]
        # SQLite calls a key nullable that is not declared NOT NULL.
        columns = {
            column["name"]: column["nullable"] and column["name"] not in keys
            for column in inspector.get_columns(name)
        }
        described[name] = columns, sorted(str(index["name"]) for index in inspector.get_indexes(name))
    return described


def count_tasks(engine: Engine) -> int | None:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(task_table))


# The schema.


def test_migrations_create_the_tables_and_columns_that_statements_use(engine: Engine):
    described = describe(engine)
    assert described.keys() == {*metadata.tables, "todo_schema_version"}
    for table in metadata.sorted_tables:
        columns, _ = described[table.name]
        assert columns == {column.name: bool(column.nullable) for column in table.columns}, table.name


def test_newest_revision_is_the_one_that_alembic_upgrades_to():
    script = ScriptDirectory(str(schema.MIGRATIONS))
    assert script.get_heads() == [schema.get_newest()]


def test_upgrade_of_the_newest_schema_changes_nothing(engine: Engine, url: str):
    before = describe(engine), count_tasks(engine)
    migrate(url)
    assert (describe(engine), count_tasks(engine)) == before


# The indexes.


def test_every_page_is_one_range_of_an_index_without_a_sort(engine: Engine):
    for key, statement in task_pages._STATEMENTS.items():
        sort, order, filtered, continued = key
        column = {"created": "created_at", "updated": "updated_at", "title": "title"}[sort]
        index = f"tasks_by_status_{column}" if filtered else f"tasks_by_{column}"
        plan = explain(engine, statement, sort=sort)
        if engine.dialect.name == "sqlite":
            after = f" AND {column}{'>' if order == 'asc' else '<'}?" if continued else ""
            found = f"USING INDEX {index} (user_id=?{' AND completed=?' if filtered else ''}{after})" in plan
            assert found and "TEMP B-TREE" not in plan, (key, plan)  # noqa: PT018
        else:
            found = f"using {index} on tasks" in plan
            assert found and "Sort" not in plan and "Filter" not in plan, (key, plan)  # noqa: PT018


def explain(engine: Engine, statement: Select[Any], *, sort: str) -> str:
    """Return the plan of the database for one of several users with many tasks."""
    values = {"owner": "user-1", "completed": True, "at_most": 51, "value": MIDDLE[sort], "task_id": 500}
    used = {name: values[name] for name in statement.compile().params if name in values}
    sql = statement.params(used).compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {sql}"))


# The connections.


@on_sqlite
def test_sqlite_syncs_every_commit_and_checks_foreign_keys_on_both_connections(url: str):
    async def read_pragmas(database: Database) -> list[Any]:
        pragmas = []
        for name in ("synchronous", "foreign_keys", "journal_mode"):
            statement = text(f"PRAGMA {name}")
            writer = await database.transaction(lambda within, sql=statement: within.fetch_one(sql, {}))
            reader = await database.fetch_one(statement, {})
            pragmas += [writer[0], reader[0]]
        return pragmas

    assert run_on(url, read_pragmas) == [2, 2, 1, 1, "wal", "wal"]  # 2: FULL


# The statements.


def test_updated_at_does_not_go_back_when_the_clock_does(url: str):
    async def change(database: Database) -> list[datetime]:
        await users.create(database, "ada", email="ada@example.com", password_hash="x", now=NOON)
        task_id = (await create_task(database, "ada", now=NOON))["id"]
        update = partial(tasks.update_fields, database, "ada", task_id, versions=None)
        complete = partial(tasks.complete, database, "ada", task_id, versions=None)
        rows = [
            await update(changes={"title": "y"}, now=NOON - HOUR),
            await complete(completed=None, now=NOON - HOUR),
            await complete(completed=None, now=NOON - HOUR),
            await update(changes={"title": "z"}, now=NOON + HOUR),
            await complete(completed=None, now=NOON),
            await complete(completed=None, now=NOON + 2 * HOUR),
        ]
        assert {row.created_at for row in rows} == {NOON}
        assert [row.version for row in rows] == [2, 3, 4, 5, 6, 7]
        return [row.updated_at for row in rows]

    assert run_on(url, change) == [NOON] * 3 + [NOON + HOUR] * 2 + [NOON + 2 * HOUR]


def test_removal_of_one_users_tasks_and_keys_keeps_those_of_another(url: str):
    async def remove(database: Database) -> None:
        for owner in ("eve", "bob"):
            await users.create(database, owner, email=f"{owner}@example.com", password_hash="x", now=NOON)
            await create_task(database, owner, now=NOON, key="one")
        for expected in (1, 0):
            assert await removals.remove_tasks(database, "eve") == expected
            assert await removals.remove_keys(database, "eve") == expected
        assert await tasks.count(database, "bob") == 1
        with pytest.raises(KeyReused):
            await create_task(database, "bob", now=NOON, title="another", key="one")

    run_on(url, remove)


def test_deletion_that_takes_too_long_is_unavailable_and_continues_when_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(removals, "BATCH_SIZE", 2)

    async def clear(database: Database) -> None:
        await users.create(database, "ivy", email="ivy@example.com", password_hash="x", now=NOON)
        for _ in range(5):
            await create_task(database, "ivy", now=NOON)
        for left in (3, 1):
            with pytest.raises(Unavailable) as raised:
                await removals.clear(database, "ivy", status="all", timeout_s=0)
            assert raised.value.headers["Retry-After"] == "1"
            assert await tasks.count(database, "ivy") == left
        assert await removals.clear(database, "ivy", status="all", timeout_s=0) == 1

    run_on(url, clear)


def test_user_who_is_removed_during_their_first_write_is_unavailable(url: str):
    async def write_and_remove(database: Database) -> None:
        async def run() -> None:
            await users.remove(database, "zoe")
            await idempotency.run_once(database, "zoe", render, key="one", body="x", now=NOON)

        async def render(_: Transaction) -> StoredResponse:
            return StoredResponse(b"", {})

        with pytest.raises(Unavailable) as raised:
            await users.run_for_owner(database, "zoe", run, may_insert=True, now=NOON)
        assert raised.value.headers["Retry-After"] == "2"

    run_on(url, write_and_remove)


def test_rows_have_the_columns_of_their_tables():
    rows = {
        tables.users: tables.UserRow,
        tables.tasks: tables.TaskRow,
        tables.idempotency_keys: tables.IdempotencyKeyRow,
        tables.import_progress: tables.ImportProgressRow,
        tables.sessions: tables.SessionRow,
        tables.signing_keys: tables.SigningKeyRow,
    }
    assert {*rows} == {*metadata.tables.values()}
    for table, row in rows.items():
        assert row._fields == tuple(table.columns.keys())
