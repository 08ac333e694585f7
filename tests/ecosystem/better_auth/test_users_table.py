"""Better Auth names its table `users` and created it first: we use it and never write to it.

Our tasks then belong to its rows: a user whom Better Auth deletes loses their tasks.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest

from tests.ecosystem.better_auth.frontend import PASSWORD, Frontend, as_issuer, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import find_free_port, run_server, wait_until_live
from tests.support.task_lifecycle import check_isolation, check_life_of_a_task

NAMED_USERS = {"user": {"modelName": "users"}}
CREDENTIALS = {"email": "ada@example.com", "password": PASSWORD}

# xmin and ctid change with every write to a row, even of the same values.
STATE = (
    "SELECT xmin::text, ctid::text, users::text FROM users ORDER BY id",
    "SELECT to_jsonb(columns)::text FROM information_schema.columns WHERE table_name = 'users' ORDER BY 1",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'users'::regclass ORDER BY 1",
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY 1",
)


class Shared(NamedTuple):
    """A database that both servers use."""

    url: str

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def users_table(self) -> list[Any]:
        """Return the columns, constraints and indexes of the table, and its rows with the marks of writes."""
        return [self.rows(query) for query in STATE]


@pytest.fixture(scope="module")
def shared(new_postgresql: Callable[[], str]) -> Shared:
    return Shared(new_postgresql())


@pytest.fixture(scope="module")
def frontend(shared: Shared, folder: Path) -> Iterator[Frontend]:
    with better_auth(folder, options=NAMED_USERS, DATABASE_URL=shared.url) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def todo(frontend: Frontend, shared: Shared, folder: Path) -> Iterator[httpx.Client]:
    """A todo backend that migrates after Better Auth. Its migrations leave the table as it was."""
    frontend.visitor()
    before = shared.users_table()
    with (
        run_server(folder, DATABASE_URL=shared.url, **frontend.as_issuer) as server,
        open_client(server.url) as http,
    ):
        wait_until_live(server, path="/health/ready", timeout_s=10)
        assert shared.users_table() == before
        yield http


def test_migrations_and_every_operation_leave_the_table_as_it_was(
    frontend: Frontend, todo: httpx.Client, shared: Shared
):
    ada, bob = (frontend.visitor(name).on(todo) for name in ("ada", "bob"))
    before = shared.users_table()
    check_life_of_a_task(ada)
    check_isolation(ada, other=bob)
    assert shared.users_table() == before


def test_task_of_a_user_without_a_row_is_401_and_not_stored(
    frontend: Frontend, todo: httpx.Client, shared: Shared
):
    deleted = frontend.visitor()
    late = deleted.on(todo)
    deleted.delete_user()
    before = shared.users_table()
    assert late.post({"title": "Buy milk"}).status_code == 401
    assert late.get().json() == []
    assert shared.users_table() == before


def test_deleted_user_loses_their_tasks_and_no_other_user_does(
    frontend: Frontend, todo: httpx.Client, shared: Shared
):
    deleted, other = frontend.visitor("ada"), frontend.visitor("bob").on(todo)
    deleted.on(todo).create_task()
    kept = other.create_task()
    deleted.delete_user()
    assert shared.rows(f"SELECT id FROM tasks WHERE user_id = '{deleted.id}'") == []
    assert other.get().json() == [kept]


def check_no_accounts(http: httpx.Client, reason: str) -> None:
    for path in ("signup", "login"):
        response = http.post(f"/api/auth/{path}", json=CREDENTIALS)
        assert response.status_code == 404
        assert reason in response.json()["detail"]


def test_signup_and_login_are_404_and_name_the_reason(todo: httpx.Client, shared: Shared, folder: Path):
    before = shared.users_table()
    check_no_accounts(todo, "issuer")
    with run_server(folder, DATABASE_URL=shared.url) as server, open_client(server.url) as without_issuer:
        check_no_accounts(without_issuer, "table users")
    assert shared.users_table() == before


@pytest.mark.parametrize("options", [{}, NAMED_USERS], ids=["user", "users"])
def test_better_auth_can_migrate_after_the_server(
    new_postgresql: Callable[[], str], folder: Path, options: dict[str, Any]
):
    port, both = find_free_port(), {"DATABASE_URL": new_postgresql()}
    with (
        run_server(folder, **both, **as_issuer(f"http://127.0.0.1:{port}")) as server,
        better_auth(folder, port=port, options=options, **both) as frontend,
        open_client(server.url) as todo,
    ):
        ada, bob = (frontend.visitor(name) for name in ("ada", "bob"))
        check_life_of_a_task(ada.on(todo))
        check_isolation(bob.on(todo), other=ada.on(todo))
        late = bob.on(todo)
        bob.delete_user()
        is_their_table = options == NAMED_USERS
        assert len(late.get().json()) == (0 if is_their_table else 1)
        assert late.post({"title": "Buy milk"}).status_code == (401 if is_their_table else 201)
