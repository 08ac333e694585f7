"""`todo user add` and `todo user remove`, beside a running server."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import httpx
from sqlalchemy import text

from cli import user
from cli.arguments import create_parser
from settings import Settings
from tests.support.command_line import Terminal, call_todo, start_todo
from tests.support.rows import copy_task, count_rows
from tests.support.server import Server, open_engine
from tests.support.users import SECRET, User

PASSWORD = "three green parrots"
OUTSIDE_ISSUER = {"BETTER_AUTH_SECRET": SECRET}


def settings_of(server: Server) -> dict[str, str]:
    """Return the settings of `server` that a command beside it needs."""
    return {k: v for k, v in server.settings.items() if k in {"DATABASE_URL", "BETTER_AUTH_SECRET"}}


def log_in(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/api/auth/login", json={"email": email, "password": PASSWORD})


def test_added_account_can_log_in_and_is_added_once(
    account_server: Server, accounts: httpx.Client, folder: Path
):
    settings = settings_of(account_server)
    ended = call_todo(folder, "user", "add", "Added@Example.com", given=f"{PASSWORD}\r\n", **settings)
    assert (ended.status, ended.errors) == (0, "")
    session = log_in(accounts, "added@example.com").json()
    assert session["user"]["id"] == ended.output.strip()
    again = call_todo(folder, "user", "add", "added@example.com", given=PASSWORD, **settings)
    assert (again.status, again.output, again.errors.count("\n")) == (1, "", 1)
    assert "added@" not in again.errors


def test_account_that_signup_rejects_is_rejected_without_a_value(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    for email, password in (
        ("canary", PASSWORD),
        ("canary@example..com", PASSWORD),
        ("new@example.com", "canary"),
        ("new@example.com", "canary" * 13),
        ("new@example.com", "password1"),
        ("new@example.com", ""),
        ("new@example.com", "canary \udcff parrots"),
    ):
        ended = call_todo(tmp_path, "user", "add", email, given=f"{password}\n")
        assert (ended.status, ended.output, ended.errors.count("\n")) == (1, "", 1), (email, password)
        assert not any(value in ended.errors for value in ("canary", "password1"))


def test_account_is_not_added_beside_an_outside_issuer(folder: Path):
    ended = call_todo(folder, "user", "add", "new@example.com", given=PASSWORD, **OUTSIDE_ISSUER)
    assert ended.status == 1
    assert "outside issuer" in ended.errors


def test_password_is_not_shown_at_a_terminal_and_ctrl_c_there_returns_130(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    for typed, status in (([f"{PASSWORD}\n", f"{PASSWORD}\n"], 0), ([f"{PASSWORD}\n", "\x03"], 130)):
        with Terminal(tmp_path, "user", "add", f"ada-{status}@example.com") as terminal:
            for prompt, keys in zip(("Password: ", "again: "), typed, strict=True):
                terminal.wait_for(prompt)
                terminal.type(keys)
            assert terminal.end() == status, terminal.shown
        assert PASSWORD not in terminal.shown
        assert "Traceback" not in terminal.shown
        assert call_todo(tmp_path, "export", f"ada-{status}@example.com").status == (status != 0)


def test_two_different_passwords_at_a_terminal_are_rejected(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    with patch("getpass.getpass", side_effect=[PASSWORD, PASSWORD[::-1]]):
        ended = call_todo(tmp_path, "user", "add", "ada@example.com", is_terminal=True)
    assert ended == (1, "", "todo: the passwords differ\n")


def test_removal_deletes_everything_of_one_user_and_nothing_of_another(
    secret_server: Server, ada: User, bob: User, folder: Path
):
    task = ada.create_task("Ada's")
    ada.post_with_key("once")
    bob.create_task("Bob's")
    first = bob.post_with_key("once")
    before = bob.get().content
    ended = call_todo(folder, "user", "remove", ada.id, "--yes", **settings_of(secret_server))
    assert ended == (0, f"removed {ada.id} with 2 tasks\n", "")
    assert count_rows(secret_server, ada.id) == {"tasks": 0, "idempotency_keys": 0, "users": 0}
    assert ada.get(f"/{task['id']}").status_code == 404
    assert ada.get().json() == []
    assert bob.get().content == before
    assert bob.post_with_key("once").content == first.content
    assert ada.post_with_key("once").json()["user_id"] == ada.id
    assert len(ada.get().json()) == 1


def test_removed_account_can_neither_log_in_nor_write(
    account_server: Server, accounts: httpx.Client, folder: Path
):
    settings = settings_of(account_server)
    user_id = call_todo(
        folder, "user", "add", "leaving@example.com", given=PASSWORD, **settings
    ).output.strip()
    removed = User(accounts, user_id, log_in(accounts, "leaving@example.com").json()["access_token"])
    removed.create_task()
    ended = call_todo(folder, "user", "remove", "LEAVING@example.com", "--yes", **settings)
    assert ended.output == f"removed {user_id} with 1 task\n"
    assert log_in(accounts, "leaving@example.com").status_code == 401
    assert removed.get().json() == []
    assert removed.post({"title": "Still here?"}).status_code == 401
    assert call_todo(folder, "user", "remove", user_id, "--yes", **settings).status == 1


def test_server_responds_while_many_tasks_are_removed(
    secret_server: Server, ada: User, bob: User, folder: Path
):
    ada.create_task()
    copy_task(secret_server, ada.id, 10_000)
    created = 0
    with start_todo(folder, "user", "remove", ada.id, "--yes", **settings_of(secret_server)) as process:
        while process.poll() is None:
            bob.create_task(f"Task {created}")
            assert bob.get(limit=1).status_code == 200
            created += 1
            time.sleep(0.02)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
    assert created > 3
    assert len(bob.list_all()) == created
    assert count_rows(secret_server, ada.id)["tasks"] == 0


def test_two_removals_of_one_user_at_once_both_succeed(secret_server: Server, ada: User):
    ada.post_with_key("once")
    copy_task(secret_server, ada.id, 3000)
    settings = Settings.from_environment(settings_of(secret_server))
    arguments = create_parser().parse_args(["user", "remove", ada.id, "--yes"])
    with ThreadPoolExecutor(2) as threads:
        removals = [threads.submit(user.remove, settings, arguments) for _ in range(2)]
    assert [removal.exception() for removal in removals] == [None, None]
    assert count_rows(secret_server, ada.id) == {"tasks": 0, "idempotency_keys": 0, "users": 0}


def test_removal_is_confirmed_at_a_terminal(secret_server: Server, ada: User, folder: Path):
    ada.create_task()
    settings = settings_of(secret_server)
    for reply, status, left in (("n", 1, 1), ("", 1, 1), ("yes", 0, 0)):
        ended = call_todo(folder, "user", "remove", ada.id, given=f"{reply}\n", is_terminal=True, **settings)
        assert ended.status == status
        assert ended.errors.startswith(f"Remove {ada.id} with 1 task? [y/N]")
        assert count_rows(secret_server, ada.id)["tasks"] == left


def test_users_table_of_another_program_is_never_written_to(new_database: Callable[[], str], folder: Path):
    own = {"DATABASE_URL": new_database()}
    settings = own | OUTSIDE_ISSUER
    row = ("ada", "Ada", "ada@example.com", "2026")
    engine = open_engine(own["DATABASE_URL"])
    with engine.connect() as connection:
        connection.execute(
            text("CREATE TABLE users (id text PRIMARY KEY, name text, email text, created_at text)")
        )
        connection.execute(text(f"INSERT INTO users VALUES {row}"))
        assert call_todo(folder, "migrate", **settings).status == 0
        assert "another program" in call_todo(folder, "check-config", **own).output
        assert call_todo(folder, "user", "add", "new@example.com", given=PASSWORD, **own).status == 1
        assert call_todo(folder, "import", "eve", given='{"title": "Eve\'s"}\n', **settings).status == 1
        assert call_todo(folder, "import", "ada", given='{"title": "Ada\'s"}\n', **settings).status == 0
        assert call_todo(folder, "export", "ada", **settings).output.startswith(
            '{"type":"user","id":"ada"}\n'
        )
        connection.execute(text("INSERT INTO import_progress VALUES ('ada', 'file', 7, CURRENT_TIMESTAMP)"))
        ended = call_todo(folder, "user", "remove", "ada", "--yes", **settings)
        assert ended.status == 0
        assert "belongs to another program" in ended.output
        for table in ("tasks", "import_progress"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        assert [tuple(found) for found in connection.execute(text("SELECT * FROM users"))] == [row]
    engine.dispose()
