"""`todo user add` and `todo user remove`, beside a running server."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.command_line import Terminal, start_todo, todo
from tests.support.server import Server, open_engine
from tests.support.users import SECRET, User

PASSWORD = "three green parrots"
ELSEWHERE = {"BETTER_AUTH_SECRET": SECRET}


def of(server: Server) -> dict[str, str]:
    """The settings that a command needs beside this server."""
    return {k: v for k, v in server.settings.items() if k in {"DATABASE_URL", "BETTER_AUTH_SECRET"}}


def log_in(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/api/auth/login", json={"email": email, "password": PASSWORD})


def count(server: Server, table: str, owner: str) -> int:
    column = "id" if table == "users" else "user_id"
    with server.database() as connection:
        found = connection.execute(text(f"SELECT count(*) FROM {table} WHERE {column} = :id"), {"id": owner})
        return int(found.scalar_one())


def give_tasks(server: Server, owner: str, how_many: int) -> None:
    """Past the server, in one statement."""
    with server.database() as connection:
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) "
                "INSERT INTO tasks (user_id, title, completed, created_at, updated_at, version) "
                "SELECT user_id, 'Task ' || i, completed, created_at, updated_at, 1 FROM n, "
                "(SELECT * FROM tasks WHERE user_id = :owner LIMIT 1) AS one"
            ),
            {"many": how_many, "owner": owner},
        )


def test_added_account_logs_in(account_server: Server, accounts: httpx.Client, folder: Path):
    ended = todo(folder, "user", "add", "Added@Example.com", given=f"{PASSWORD}\n", **of(account_server))
    assert (ended.status, ended.errors) == (0, "")
    session = log_in(accounts, "added@example.com").json()
    assert session["user"]["id"] == ended.output.strip()
    again = todo(folder, "user", "add", "added@example.com", given=f"{PASSWORD}\n", **of(account_server))
    assert (again.status, again.output) == (1, "")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("canary", PASSWORD),
        ("canary@example..com", PASSWORD),
        ("new@example.com", "canary"),
        ("new@example.com", "canary" * 13),
        ("new@example.com", "password1"),
        ("new@example.com", ""),
    ],
)
def test_what_signing_up_refuses_is_refused_here(tmp_path: Path, email: str, password: str):
    todo(tmp_path, "migrate")
    ended = todo(tmp_path, "user", "add", email, given=f"{password}\n")
    assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1)
    assert not any(value in ended.errors for value in ("canary", "password1"))


def test_accounts_kept_elsewhere_are_not_added_here(folder: Path):
    ended = todo(folder, "user", "add", "new@example.com", given=f"{PASSWORD}\n", **ELSEWHERE)
    assert ended.status == 1
    assert "outside issuer" in ended.errors


def test_password_is_asked_for_twice_and_not_shown(tmp_path: Path):
    todo(tmp_path, "migrate")
    for second, status in (("something else", 1), (PASSWORD, 0)):
        terminal = Terminal(tmp_path, "user", "add", "ada@example.com")
        terminal.wait_for("Password: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.wait_for("again: ")
        terminal.type(f"{second}\n")
        assert terminal.end() == status, terminal.shown
        assert PASSWORD not in terminal.shown
    assert todo(tmp_path, "export", "ada@example.com").status == 0


def test_ctrl_c_at_the_password_ends_quietly_with_130(tmp_path: Path):
    terminal = Terminal(tmp_path, "user", "add", "ada@example.com")
    terminal.wait_for("Password: ")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.shown


def test_removed_user_has_nothing_left_and_the_neighbour_everything(
    secret_server: Server, ada: User, bob: User, folder: Path
):
    task = ada.create_task("Ada's")
    ada.request("POST", json={"title": "Keyed"}, headers={"Idempotency-Key": "once"})
    bob.create_task("Bob's")
    bob.request("POST", json={"title": "Keyed"}, headers={"Idempotency-Key": "once"})
    before = bob.get().content
    ended = todo(folder, "user", "remove", ada.id, "--yes", **of(secret_server))
    assert (ended.status, ended.errors) == (0, "")
    assert ended.output == f"removed {ada.id} with 2 tasks\n"
    assert [count(secret_server, table, ada.id) for table in ("tasks", "idempotency_keys", "users")] == [
        0,
        0,
        0,
    ]
    assert ada.get(f"/{task['id']}").status_code == 404
    assert ada.get().json() == []
    assert bob.get().content == before
    assert [count(secret_server, table, bob.id) for table in ("idempotency_keys", "users")] == [1, 1]
    fresh = ada.create_task("Back again")
    assert ada.get().json() == [fresh]


def test_removed_account_neither_logs_in_nor_writes(
    account_server: Server, accounts: httpx.Client, folder: Path
):
    user_id = todo(
        folder, "user", "add", "gone@example.com", given=PASSWORD, **of(account_server)
    ).output.strip()
    gone = User(accounts, user_id, log_in(accounts, "gone@example.com").json()["access_token"])
    gone.create_task()
    ended = todo(folder, "user", "remove", "GONE@example.com", "--yes", **of(account_server))
    assert ended.output == f"removed {user_id} with 1 task\n"
    assert log_in(accounts, "gone@example.com").status_code == 401
    assert gone.get().json() == []
    assert gone.post({"title": "Still here?"}).status_code == 401
    assert todo(folder, "user", "remove", user_id, "--yes", **of(account_server)).status == 1


def test_server_answers_while_many_tasks_are_removed(
    secret_server: Server, ada: User, bob: User, folder: Path
):
    ada.create_task()
    give_tasks(secret_server, ada.id, 10_000)
    rounds = 0
    with start_todo(folder, "user", "remove", ada.id, "--yes", **of(secret_server)) as process:
        while process.poll() is None:
            bob.create_task(f"Task {rounds}")
            assert bob.get(limit=1).status_code == 200
            rounds += 1
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
    assert rounds > 3
    assert len(bob.get().json()) == rounds
    assert count(secret_server, "tasks", ada.id) == 0


def test_removal_is_confirmed_at_a_terminal_only(secret_server: Server, ada: User, folder: Path):
    ada.create_task()
    command = ("user", "remove", ada.id)
    assert todo(folder, *command, **of(secret_server)).status == 2
    for answer, status, left in (("n", 1, 1), ("", 1, 1), ("y", 0, 0)):
        terminal = Terminal(folder, *command, **of(secret_server))
        terminal.wait_for(f"Remove {ada.id} with 1 task? [y/N]")
        assert count(secret_server, "tasks", ada.id) == 1
        terminal.type(f"{answer}\n")
        assert terminal.end() == status, terminal.shown
        assert count(secret_server, "tasks", ada.id) == left


THEIRS = "CREATE TABLE users (id text PRIMARY KEY, name text, email text, created_at text)"


def test_table_of_another_program_is_never_written_to(new_database: Callable[[], str], folder: Path):
    settings = {"DATABASE_URL": new_database(), **ELSEWHERE}
    row = ("ada", "Ada", "ada@example.com", "2026")
    engine = open_engine(settings["DATABASE_URL"])
    with engine.connect() as connection:
        connection.execute(text(THEIRS))
        connection.execute(text(f"INSERT INTO users VALUES {row}"))
        assert todo(folder, "migrate", **settings).status == 0
        own = {"DATABASE_URL": settings["DATABASE_URL"]}
        assert todo(folder, "user", "add", "new@example.com", given=PASSWORD, **own).status == 1
        assert todo(folder, "import", "eve", given='{"title": "Eve\'s"}\n', **settings).status == 1
        assert todo(folder, "import", "ada", given='{"title": "Ada\'s"}\n', **settings).status == 0
        assert todo(folder, "export", "ada", **settings).output.startswith('{"type":"user","id":"ada"}\n')
        ended = todo(folder, "user", "remove", "ada", "--yes", **settings)
        assert ended.status == 0
        assert "another program's" in ended.output
        assert connection.execute(text("SELECT count(*) FROM tasks")).scalar_one() == 0
        assert [tuple(found) for found in connection.execute(text("SELECT * FROM users"))] == [row]
    engine.dispose()
