"""A server starts when others start too, when its schema is older, and when its database is not up yet."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.databases import list_revisions, upgrade_to
from tests.support.server import (
    Server,
    eventually,
    find_free_port,
    open_engine,
    start_server,
    wait_until_live,
)
from tests.support.users import SECRET, User, new_user, sign_token

SERVERS = 4
CANARY = "c4n4ry"
USER = "INSERT INTO users (id, created_at) VALUES ('ada', '2026-11-21')"
TASK = (
    "INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
    " VALUES ('ada', 'Buy milk', false, '2026-11-21 09:30:00', '2026-11-21 09:30:00')"
)


@contextmanager
def run_servers(count: int, folder: Path, **settings: str) -> Iterator[list[Server]]:
    """Start `count` servers at once and wait until all are ready. Fail when one has logged an error."""
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            servers.append(start_server(folder, BETTER_AUTH_SECRET=SECRET, **settings))
            stack.callback(servers[-1].stop)
        yield [wait_until_live(server, path="/health/ready") for server in servers]
        assert [server.log for server in servers if '"level":"error"' in server.log] == []


@contextmanager
def ada_on(servers: list[Server]) -> Iterator[list[User]]:
    """Yield the same user on each server."""
    with ExitStack() as stack:
        clients = [stack.enter_context(open_client(server.url)) for server in servers]
        yield [User(http, "ada", sign_token("ada")) for http in clients]


def test_four_servers_start_at_once_on_an_empty_database(
    new_database: Callable[[], str], folder: Path, is_long: bool
):
    for _ in range(10 if is_long else 1):
        with run_servers(SERVERS, folder, DATABASE_URL=new_database()) as servers, ada_on(servers) as users:
            for ada in users:
                ada.create_task()
            assert len(users[0].list_all()) == SERVERS


def test_four_servers_start_at_once_on_an_older_database_and_keep_its_tasks(
    new_database: Callable[[], str], folder: Path, is_long: bool
):
    for _ in range(10 if is_long else 1):
        url = new_database()
        create_older_schema(url)
        with run_servers(SERVERS, folder, DATABASE_URL=url) as servers, ada_on(servers) as users:
            for ada in users:
                [task] = ada.list_all()
                assert task["title"] == "Buy milk"
                assert ada.complete(task["id"]).status_code == 200
            assert sum(server.log.count("the schema is migrated") for server in servers) == 1


def create_older_schema(url: str) -> None:
    """Create the schema before the newest, with a task in it."""
    engine = open_engine(url)
    with engine.connect() as connection:
        upgrade_to(connection, list_revisions()[-2])
        connection.execute(text(USER))
        connection.execute(text(TASK))
    engine.dispose()


def test_two_workers_start_on_an_empty_database_and_end_with_their_supervisor(
    new_database: Callable[[], str], folder: Path
):
    with (
        run_servers(1, folder, DATABASE_URL=new_database(), WORKERS="2") as servers,
        ada_on(servers) as [ada],
    ):
        ada.create_task()
        servers[0].kill()
        assert eventually(lambda: not is_live(servers[0]), within_s=8)


def is_live(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health/live", verify=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def early(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers that start before their database: the folder is missing, or nothing listens on the port.

    Started together, because each waits 5 s for its database before it serves without. The second one has no
    Redis either.
    """
    file = tmp_path_factory.mktemp("volumes") / "not-mounted-yet" / "todo.db"
    role = f"{CANARY}role:{CANARY}password"
    away = {
        "DATABASE_URL": f"postgresql://{role}@127.0.0.1:{find_free_port()}/{CANARY}database",
        "RATE_LIMIT": "on",
        "RATE_LIMIT_STORAGE": f"redis://{role}@127.0.0.1:{find_free_port()}/0",
    }
    both = {"sqlite": {"DATABASE_URL": f"sqlite:///{file}"}, "postgresql": away}
    with ExitStack() as stack:
        servers = {}
        for name, settings in both.items():
            servers[name] = start_server(folder, BETTER_AUTH_SECRET=SECRET, LOG_LEVEL="DEBUG", **settings)
            stack.callback(servers[name].kill)
        yield servers


def test_server_is_ready_once_its_database_file_can_be_created(early: dict[str, Server]):
    server = wait_until_live(early["sqlite"])
    check_unavailable(server)
    Path(server.settings["DATABASE_URL"].removeprefix("sqlite:///")).parent.mkdir()
    check_recovery(server)


def test_warnings_about_an_unavailable_database_and_redis_have_no_host_and_no_role(early: dict[str, Server]):
    server = wait_until_live(early["postgresql"])
    check_unavailable(server)
    lines = server.log.splitlines()
    warnings = [line for line in lines if '"warning"' in line]
    assert server.log.count("the database is not ready") == 1
    for event in ('"event":"unavailable"', '"event":"RATE_LIMIT_STORAGE is unreachable'):
        assert any(event in line for line in warnings), event
    assert [line for line in warnings if CANARY in line or "127.0.0.1" in line] == []
    assert f"{CANARY}password" not in server.log


def test_server_is_ready_once_its_postgresql_is_up(early: dict[str, Server]):
    if postgresql_server.find_binaries() is None:
        pytest.skip("needs the programs of PostgreSQL, to start one late")
    server = wait_until_live(early["postgresql"])
    check_unavailable(server)
    url = urlsplit(server.settings["DATABASE_URL"])
    with postgresql_server.started(url.port) as superuser_url:
        engine = open_engine(superuser_url)
        with engine.connect() as connection:
            connection.execute(text(f"CREATE ROLE {url.username} LOGIN SUPERUSER"))
            connection.execute(text(f"CREATE DATABASE {url.path[1:]}"))
        engine.dispose()
        check_recovery(server)
        server.kill()


def check_unavailable(server: Server) -> None:
    with open_client(server.url, timeout=10) as http:
        assert http.get("/health/live").status_code == 200
        for response in (http.get("/health/ready"), new_user(http).get()):
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1


def check_recovery(server: Server) -> None:
    wait_until_live(server, path="/health/ready", timeout_s=10)
    with open_client(server.url, timeout=10) as http:
        new_user(http).create_task()
