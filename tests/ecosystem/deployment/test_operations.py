"""The commands of docs/operations.md, run beside servers and under load."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from tests.support import postgresql as postgresql_server
from tests.support.accounts import create_account
from tests.support.contract_checks import open_client
from tests.support.databases import on_postgresql
from tests.support.postgresql import OwnRoles
from tests.support.programs import needed
from tests.support.server import ROOT, eventually, run_server
from tests.support.users import SECRET, User, new_user

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
OTHER_SECRET = SECRET[::-1]
ORIGIN = "https://todo.example.com"  # the same issuer before and after
COMMANDS = {
    "sqlite": ("./todo backup", "install ", "sqlite3 "),
    "postgresql": ("pg_dump ", "pg_restore ", "psql "),
}


def find_command(beginning: str) -> str:
    """Return the only command of the page that begins so."""
    [command] = re.findall(rf"^ *```sh\n *({re.escape(beginning)}.*)\n *```$", PAGE, re.MULTILINE)
    return str(command)


def run_command(beginning: str, folder: Path, **environment: str) -> None:
    """Run the command of the page in `folder`, with the project and the backups beside it."""
    for name in ("todo", "deploy"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    path = f"{postgresql_server.find_binaries()}:{os.environ['PATH']}"
    command = find_command(beginning).replace("/var/backups/", f"{folder}/backup-")
    subprocess.run(["sh", "-c", command], cwd=folder, env=environment | {"PATH": path}, check=True)


@contextmanager
def writing(user: User) -> Iterator[list[dict[str, Any]]]:
    """Create tasks until the end of the block. Yield their list. Fail if a request fails."""
    stored: list[dict[str, Any]] = []
    stop = Event()

    def write() -> None:
        while not stop.is_set() and len(stored) < 400:
            stored.append(user.create_task(title=f"{len(stored)}"))

    with ThreadPoolExecutor() as pool:
        writes = pool.submit(write)
        try:
            assert eventually(lambda: len(stored) > 100 or writes.done(), within_s=30)
            yield stored
        finally:
            stop.set()
        writes.result()


def test_backup_under_load_is_restored_and_old_sessions_tags_and_ids_are_not_valid_any_more(
    database: str, new_database: Callable[[], str], tmp_path: Path
):
    needed("sqlite3", package="sqlite3")
    url = new_database()
    restored_url = f"sqlite:///{tmp_path / 'restored.db'}" if database == "sqlite" else new_database()
    environment = {"DATABASE_URL": url, "RESTORED_URL": restored_url}
    back_up, restore, finish = COMMANDS[database]
    with (
        run_server(tmp_path, DATABASE_URL=url, RATE_LIMIT="off", PUBLIC_URL=ORIGIN) as server,
        open_client(server.url) as http,
        open_client(server.url) as other,
    ):
        account = create_account(http, server)
        session = account.log_in()
        owner = account.as_user(session)
        with writing(User(other, owner.id, owner.token)) as stored:
            before = [*stored]
            run_command(back_up, tmp_path, **environment)
        lost = owner.create_task()
    run_command(restore, tmp_path, **environment)
    run_command(finish, tmp_path, **environment)
    with (
        run_server(tmp_path, DATABASE_URL=restored_url, PUBLIC_URL=ORIGIN) as server,
        open_client(server.url) as http,
    ):
        again = User(http, owner.id, owner.token)
        tasks = {task["id"]: task["title"] for task in again.get(sort="created", order="asc").json()}
        assert {task["id"]: task["title"] for task in before}.items() <= tasks.items()
        assert tasks.items() <= {task["id"]: task["title"] for task in stored}.items()
        assert again.get(f"/{lost['id']}").status_code == 404
        response = again.request("DELETE", f"/{before[0]['id']}", headers={"If-Match": '"1"'})
        assert response.status_code == 412
        assert again.create_task()["id"] > lost["id"] + 1000
        refreshed = http.post("/api/auth/refresh", json={"refresh_token": session["refresh_token"]})
        assert (refreshed.status_code, refreshed.json()["type"]) == (401, "urn:todo:problem:session-ended")


@on_postgresql
def test_role_of_the_database_and_the_shared_secret_are_rotated_without_a_failed_request(
    new_database: Callable[[], str], tmp_path: Path
):
    create, lock = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    roles = OwnRoles(new_database())
    before = {"DATABASE_URL": roles.url_of("todo_a"), "BETTER_AUTH_SECRET": SECRET}
    after = {"DATABASE_URL": roles.url_of("todo_b"), "BETTER_AUTH_SECRET": OTHER_SECRET}
    after["BETTER_AUTH_SECRET_PREVIOUS"] = SECRET
    roles.execute("CREATE ROLE todo; ALTER DATABASE todo OWNER TO todo; ALTER SCHEMA public OWNER TO todo")
    roles.execute(create.replace("todo_b", "todo_a"))
    with ExitStack() as stack:
        old = stack.enter_context(run_server(tmp_path, **before))
        ada = new_user(stack.enter_context(open_client(old.url)))
        with writing(ada) as stored:
            roles.execute(create)
            new = stack.enter_context(run_server(tmp_path, **after))
        old.stop()
        ada_there = User(stack.enter_context(open_client(new.url)), ada.id, ada.token)
        with writing(ada_there) as more:
            roles.execute(lock)
        assert len(ada_there.get().json()) == len(stored) + len(more) < 1000
