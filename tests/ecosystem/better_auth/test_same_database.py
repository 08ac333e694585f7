"""Better Auth's tables and ours share a PostgreSQL database, whoever comes first."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.ecosystem.better_auth.frontend import as_issuer, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import find_free_port, run_server
from tests.support.task_lifecycle import live_through_a_task, see_nothing_of

OURS = {"users", "tasks", "idempotency_keys", "signing_keys", "todo_schema_version"}
THEIRS = {"user", "session", "account", "verification", "jwks"}


def test_whole_life_of_a_task_when_better_auth_came_first(new_postgresql: Callable[[], str], folder: Path):
    shared = {"DATABASE_URL": new_postgresql()}
    with (
        better_auth(folder, **shared) as frontend,
        run_server(folder, **shared, **frontend.as_issuer) as server,
        open_client(server.url) as todo,
    ):
        ada, bob = (frontend.visitor(name).at(todo) for name in ("ada", "bob"))
        live_through_a_task(ada)
        see_nothing_of(ada, stranger=bob)
    assert tables(shared["DATABASE_URL"]) == OURS | THEIRS


def test_whole_life_of_a_task_when_we_came_first(new_postgresql: Callable[[], str], folder: Path):
    shared, port = {"DATABASE_URL": new_postgresql()}, find_free_port()
    with (
        run_server(folder, **shared, **as_issuer(f"http://127.0.0.1:{port}")) as server,
        better_auth(folder, port=port, **shared) as frontend,
        open_client(server.url) as todo,
    ):
        ada, bob = (frontend.visitor(name).at(todo) for name in ("ada", "bob"))
        live_through_a_task(ada)
        see_nothing_of(ada, stranger=bob)
    assert tables(shared["DATABASE_URL"]) == OURS | THEIRS


def tables(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}
