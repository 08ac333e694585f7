"""A migration only adds, so that servers of two versions can use one database during a deploy."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, inspect, text

from persistence import schema
from persistence.errors import NotMigrated
from tests.support.command_line import call_todo
from tests.support.databases import list_revisions, run_on, upgrade_to
from tests.support.server import eventually, open_engine, run_server, wait_until_live
from tests.support.users import SECRET

LAST_OF_0_6 = "0003"
ADDITIONS = {
    "a table": "CREATE TABLE added (id bigint PRIMARY KEY, user_id text NOT NULL REFERENCES users (id))",
    "a column": "ALTER TABLE tasks ADD COLUMN added text",
    "a column with a default": "ALTER TABLE tasks ADD COLUMN added bigint NOT NULL DEFAULT 0",
    "an index": "CREATE INDEX added ON tasks (user_id, version)",
}
BREAKS = {
    "tasks.description is dropped": "ALTER TABLE tasks DROP COLUMN description",
    "tasks.title is dropped": "ALTER TABLE tasks RENAME COLUMN title TO name",
    "idempotency_keys is dropped": "DROP TABLE idempotency_keys",
    "users.added is new": "ALTER TABLE users ADD COLUMN added text",
    "tasks has a new unique": "CREATE UNIQUE INDEX added ON tasks (user_id, title)",
    "tasks has a new check": "ALTER TABLE tasks ADD COLUMN added bigint CONSTRAINT small CHECK (added < 9)",
    "tasks has a new foreign key": "ALTER TABLE tasks ADD COLUMN added text REFERENCES users (id)",
}
BREAKS_ON_POSTGRESQL = {
    "tasks.description is required": "ALTER TABLE tasks ALTER COLUMN description SET NOT NULL",
    "tasks.added is required": "ALTER TABLE tasks ADD COLUMN added text NOT NULL",
    "tasks.title has another type": "ALTER TABLE tasks ALTER COLUMN title TYPE varchar(9)",
}


class Table:
    """A table's columns and constraints, as the database describes them."""

    def __init__(self, connection: Connection, name: str) -> None:
        inspector = inspect(connection)
        self.columns = {column["name"]: column for column in inspector.get_columns(name)}
        unique = [index["name"] for index in inspector.get_indexes(name) if index["unique"]]
        self.constraints = {
            "unique": {*unique, *(found["name"] for found in inspector.get_unique_constraints(name))},
            "check": {found["sqltext"] for found in inspector.get_check_constraints(name)},
            "foreign key": {(*found["constrained_columns"],) for found in inspector.get_foreign_keys(name)},
        }


def describe(connection: Connection) -> dict[str, Table]:
    return {name: Table(connection, name) for name in inspect(connection).get_table_names()}


def find_breaks(before: dict[str, Table], after: dict[str, Table]) -> Iterator[str]:
    """Yield every change between two schemas that is more than an addition."""
    for name, table in before.items():
        if name not in after:
            yield f"{name} is dropped"
            continue
        for column in table.columns.keys() - after[name].columns.keys():
            yield f"{name}.{column} is dropped"
        for kind, constraints in table.constraints.items():
            if after[name].constraints[kind] - constraints:
                yield f"{name} has a new {kind}"
        for column, found in after[name].columns.items():
            yield from find_column_breaks(f"{name}.{column}", table.columns.get(column), found)


def find_column_breaks(name: str, before: Any, after: Any) -> Iterator[str]:
    if before is None and name.startswith("users."):  # the table may be another program's
        yield f"{name} is new"
    if before is not None and str(before["type"]) != str(after["type"]):
        yield f"{name} has another type"
    is_optional = after["nullable"] or after["default"] is not None
    if not is_optional and (before is None or before["nullable"] or before["default"] is not None):
        yield f"{name} is required"


@pytest.fixture
def connection(new_database: Callable[[], str]) -> Iterator[Connection]:
    """A connection to an empty database."""
    engine = open_engine(new_database())
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_migrations_after_0_6_only_add(connection: Connection):
    upgrade_to(connection, LAST_OF_0_6)
    for revision in (name for name in list_revisions() if name > LAST_OF_0_6):
        before = describe(connection)
        upgrade_to(connection, revision)
        assert [*find_breaks(before, describe(connection))] == [], revision


def test_progress_of_an_interrupted_import_is_kept(connection: Connection):
    upgrade_to(connection, LAST_OF_0_6)
    connection.execute(text("INSERT INTO users (id, created_at) VALUES ('ada', CURRENT_TIMESTAMP)"))
    for key, answer in (("import abc", "7"), ("imported", None)):
        statement = text("INSERT INTO idempotency_keys VALUES ('ada', :key, '', :answer, CURRENT_TIMESTAMP)")
        connection.execute(statement, {"key": key, "answer": answer})
    upgrade_to(connection, "head")
    found = connection.execute(text("SELECT user_id, file, stored FROM import_progress")).fetchall()
    assert found == [("ada", "abc", 7)]


def test_each_change_that_breaks_the_version_before_is_found(connection: Connection):
    upgrade_to(connection, "head")
    breaks = BREAKS | (BREAKS_ON_POSTGRESQL if connection.dialect.name == "postgresql" else {})
    for expected, statement in breaks.items():
        assert expected in find_breaks_of(connection, statement)
    for addition in ADDITIONS.values():
        assert find_breaks_of(connection, addition) == []


def find_breaks_of(connection: Connection, statement: str) -> list[str]:
    """Return the breaks of a statement, which is undone."""
    before = describe(connection)
    connection.exec_driver_sql("BEGIN")
    connection.execute(text(statement))
    found = [*find_breaks(before, describe(connection))]
    connection.exec_driver_sql("ROLLBACK")
    return found


def test_missing_column_is_reported_as_an_older_schema(new_database: Callable[[], str], folder: Path):
    url = new_database()
    call_todo(folder, "migrate", DATABASE_URL=url)
    with pytest.raises(NotMigrated):
        run_on(url, lambda database: database.fetch_one(text("SELECT missing FROM tasks"), {}))


def test_server_that_may_not_migrate_is_ready_after_todo_migrate(
    new_database: Callable[[], str], folder: Path
):
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    with run_server(folder, RUN_MIGRATIONS="off", **settings) as server:
        ready = httpx.get(f"{server.url}/health/ready", verify=False)
        assert (ready.status_code, "todo migrate" in ready.json()["detail"]) == (503, True)
        migrated = call_todo(folder, "migrate", **settings)
        assert f'"from":null,"to":"{schema.get_newest()}"' in migrated.output + migrated.errors
        wait_until_live(server, path="/health/ready", timeout_s=10)
        assert server.log.count("the database is not ready") == 1
        assert eventually(lambda: server.log.count("the database is ready") == 1, within_s=10)
