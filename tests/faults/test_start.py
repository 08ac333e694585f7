"""Servers that start at once, on an empty database or an older one, and workers that do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tests.faults.tasks import tasks_of
from tests.support.contract_checks import open_client
from tests.support.server import ROOT, Server, eventually, open_engine, start_server, wait_until_live
from tests.support.users import SECRET, User, new_user, sign_token

SERVERS = 4
USER = "INSERT INTO users (id, created_at) VALUES ('ada', '2026-11-21')"
TASK = (
    "INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
    " VALUES ('ada', 'Buy milk', false, '2026-11-21 09:30:00', '2026-11-21 09:30:00')"
)


@contextmanager
def started(count: int, folder: Path, **settings: str) -> Iterator[list[Server]]:
    """So many servers, started at once and ready."""
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            servers.append(start_server(folder, BETTER_AUTH_SECRET=SECRET, **settings))
            stack.callback(servers[-1].stop)
        yield [wait_until_live(server, path="/health/ready") for server in servers]


@contextmanager
def clients_of(servers: list[Server]) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_client(server.url)) for server in servers]


def errors_of(servers: list[Server]) -> list[str]:
    return [server.log for server in servers if '"level":"error"' in server.log]


def test_four_servers_that_start_at_once_on_an_empty_database_become_ready(
    new_database: Callable[[], str], folder: Path, is_long: bool
):
    for _ in range(10 if is_long else 1):
        with started(SERVERS, folder, DATABASE_URL=new_database()) as servers, clients_of(servers) as clients:
            for client in clients:
                User(client, "ada", sign_token("ada")).create_task()
            assert len(tasks_of(User(clients[0], "ada", sign_token("ada")))) == SERVERS
            assert errors_of(servers) == []


def test_four_servers_that_start_at_once_on_an_older_database_bring_it_up_to_date_with_its_tasks(
    new_database: Callable[[], str], folder: Path, is_long: bool
):
    for _ in range(10 if is_long else 1):
        url = new_database()
        make_older(url)
        with started(SERVERS, folder, DATABASE_URL=url) as servers, clients_of(servers) as clients:
            for client in clients:
                [task] = tasks_of(User(client, "ada", sign_token("ada")))
                assert task["title"] == "Buy milk"
                answer = User(client, "ada", sign_token("ada")).complete(task["id"])
                assert answer.status_code == 200
            assert errors_of(servers) == []


def make_older(url: str) -> None:
    """The schema before the newest, with a task in it."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "persistence" / "migrations"))
    newest = ScriptDirectory.from_config(config).get_revision("head")
    engine = open_engine(url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, newest.down_revision)
        connection.execute(text(USER))
        connection.execute(text(TASK))
    engine.dispose()


def test_two_workers_become_ready_on_an_empty_database(new_database: Callable[[], str], folder: Path):
    with (
        started(1, folder, DATABASE_URL=new_database(), WORKERS="2") as [server],
        open_client(server.url) as http,
    ):
        new_user(http).create_task()
        assert errors_of([server]) == []


def test_workers_leave_the_port_free_when_their_parent_is_killed(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "WORKERS": "2"}
    with started(1, folder, **settings) as [server]:
        server.kill()
        assert eventually(lambda: not answers(server), within_s=8)


def answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health/live", verify=False).is_success
    except httpx.TransportError:
        return False
