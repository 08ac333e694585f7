"""The schema and every statement keep the rules of Citus, so that deploy/citus.md can distribute the tables.

https://docs.citusdata.com: a unique index of a distributed table contains the column that distributes it; its
foreign keys do too, or refer to a reference table; a statement that names the column runs on one machine.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import Engine, inspect, text

from app import create_app
from persistence import schema
from persistence.postgresql_connection import Connection, Values
from persistence.statements import Compiled
from settings import Settings
from tests.ecosystem.deployment.pages import blocks
from tests.support.command_line import call_todo
from tests.support.databases import run_on
from tests.support.postgresql import new_database
from tests.support.server import open_engine
from tests.support.users import SECRET, User, sign_token

COLUMN = "user_id"
DISTRIBUTED = ("idempotency_keys", "import_progress", "sessions", "tasks")
REFERENCE = {"users", "signing_keys", "todo_schema_version"}
STATEMENTS, SWEEP = blocks("citus.md", "sql")


@pytest.fixture(scope="module")
def url(postgresql: str) -> str:
    """The URL of a migrated database."""
    url = new_database(postgresql)
    run_on(url, schema.upgrade)
    return url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def unique_indexes(engine: Engine, table: str) -> list[Any]:
    """Return the columns of each unique index, without the primary key."""
    return [found["column_names"] for found in inspect(engine).get_indexes(table) if found["unique"]]


def foreign_keys(engine: Engine) -> dict[str, Any]:
    return {table: inspect(engine).get_foreign_keys(table) for table in inspect(engine).get_table_names()}


def test_primary_keys_and_unique_indexes_contain_the_user(engine: Engine):
    for table in DISTRIBUTED:
        assert COLUMN in inspect(engine).get_pk_constraint(table)["constrained_columns"]
        assert [columns for columns in unique_indexes(engine, table) if COLUMN not in columns] == []
    assert unique_indexes(engine, "users") == [["email"]]


def test_foreign_keys_refer_to_the_reference_table(engine: Engine):
    referred = {
        table: {key["referred_table"] for key in keys} for table, keys in foreign_keys(engine).items()
    }
    assert {table: to for table, to in referred.items() if to} == {table: {"users"} for table in DISTRIBUTED}


def test_page_distributes_every_table_and_leaves_the_schema_as_it_was(engine: Engine):
    assert dict(re.findall(r"create_distributed_table\('(\w+)', '(\w+)'", STATEMENTS)) == dict.fromkeys(
        DISTRIBUTED, COLUMN
    )
    assert set(re.findall(r"create_reference_table\('(\w+)'\)", STATEMENTS)) == REFERENCE
    assert set(inspect(engine).get_table_names()) == {*DISTRIBUTED, *REFERENCE}
    before = foreign_keys(engine)
    with engine.connect() as connection:
        for statement in STATEMENTS.split(";\n"):
            if "create_" not in statement:  # functions of Citus
                connection.execute(text(statement or "SELECT"))
        connection.execute(text(SWEEP))
    assert foreign_keys(engine) == before


@pytest.fixture(scope="module")
def executed(url: str, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The SQL of all that the server and the commands execute on the distributed tables."""
    statements: set[str] = set()
    run = Connection.run

    async def run_and_record(self: Connection, statement: Compiled, values: Values) -> Any:
        named = re.sub(r"\$(\d+)", lambda found: f":{statement.names[int(found[1]) - 1]}", statement.sql)
        statements.add(" ".join(named.split()))
        return await run(self, statement, values)

    settings = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": SECRET}
    with patch.object(Connection, "run", run_and_record):
        with create_app(Settings.from_environment(settings)).test_client() as http:
            use_every_operation(User(http, "ada", sign_token("ada")))
        with create_app(Settings.from_environment({"DATABASE_URL": url})).test_client() as http:
            use_accounts(http)
        use_every_command(tmp_path_factory.mktemp("citus"), **settings)
    return {sql for sql in statements if re.search(rf"\b({'|'.join(DISTRIBUTED)})\b", sql)}


def use_every_operation(ada: User) -> None:
    tasks = [ada.create_task(completed=number % 2 == 0) for number in range(4)]
    assert ada.post_with_key("once").json() == ada.post_with_key("once").json()
    for sort, order, status in itertools.product(
        ("created", "updated", "title"), ("asc", "desc"), ("all", "pending")
    ):
        page = ada.get(sort=sort, order=order, status=status, limit=1)
        assert ada.http.get(page.links["next"]["url"], headers=ada.headers).status_code == 200
    path = f"/{tasks[0]['id']}"
    responses: list[httpx.Response] = [
        ada.get(path),
        ada.put(path, {"title": "Buy oats"}),
        ada.patch(path, {"title": "Buy tea"}),
        ada.complete(tasks[0]["id"]),
        ada.complete(tasks[0]["id"], json={"completed": True}),
        ada.request("PATCH", path, json={"title": "Buy rice"}, headers={"If-Match": "*"}),
        ada.request("DELETE", path, headers={"If-Match": ada.get(path).headers["etag"]}),
        ada.delete(f"/{tasks[1]['id']}"),
    ]
    assert [response.status_code for response in responses if not response.is_success] == []


def use_accounts(http: httpx.Client) -> None:
    credentials = {"email": "grace@example.com", "password": "three green parrots"}
    http.post("/api/auth/signup", json=credentials).raise_for_status()
    session = http.post("/api/auth/login", json=credentials).raise_for_status().json()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    passwords = {"current_password": credentials["password"], "new_password": "four blue parrots"}
    for path, body in {
        "refresh": session,
        "change-password": passwords,
        "logout": session,
        "delete-account": {"password": "four blue parrots"},
    }.items():
        http.post(f"/api/auth/{path}", json=body, headers=headers).raise_for_status()


def use_every_command(folder: Path, **settings: str) -> None:
    task = '{"title": "Buy milk"}\n'
    assert call_todo(folder, "import", "ada", "--add", given=task, **settings).status == 0
    assert call_todo(folder, "export", "ada", **settings).status == 0
    assert call_todo(folder, "user", "remove", "ada", "--yes", **settings).status == 0


def names_the_user(sql: str) -> bool:
    return any(
        sql.startswith(f"INSERT INTO {table} (user_id, ") or f" WHERE {table}.user_id = :owner" in sql
        for table in DISTRIBUTED
    )


def test_every_statement_except_the_sweep_names_the_user(executed: set[str]):
    assert len([sql for sql in executed if "FROM tasks" in sql and "ORDER BY" in sql]) >= 24
    sweeps = sorted(sql.partition(" WHERE ")[0] for sql in executed if not names_the_user(sql))
    assert sweeps == ["DELETE FROM idempotency_keys", "DELETE FROM sessions"]
