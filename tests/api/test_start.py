"""Starting and stopping: wrong settings, databases that come late, migrating by hand."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import inspect

from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.server import ROOT, Server, find_free_port, open_engine, start_server, wait_until_live
from tests.support.users import SECRET, new_user

MIGRATE = (sys.executable, "-m", "cli", "migrate")


@contextmanager
def started(folder: Path, command: tuple[str, ...] | None = None, **settings: str) -> Iterator[Server]:
    """A server that may not be live yet, ended in the end."""
    server = start_server(folder, command, **settings) if command else start_server(folder, **settings)
    try:
        yield server
    finally:
        server.kill()


def ended(folder: Path, command: tuple[str, ...] | None = None, **settings: str) -> tuple[int, str]:
    """The status and the output of a command that ends by itself, within seconds."""
    with started(folder, command, **settings) as process:
        return process.process.wait(timeout=10), process.log


def test_wrong_settings_end_the_start_and_are_named(folder: Path):
    wrong = {
        "PORT": "canary",
        "BETTER_AUTH_SECRET": "canary",
        "DATABASE_URL": "mysql://ada:canary@localhost/todo",
        "CORS_ORIGINS": "https://canary.example, *",
    }
    status, output = ended(folder, **wrong)
    assert status != 0
    assert [name for name in wrong if name not in output] == []
    assert "canary" not in output
    assert "Traceback" not in output


@pytest.fixture(scope="module")
def early(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers whose database is not there yet: in a folder that is not, on a port where nothing listens.

    Started together, since each gives its database 5 s before it serves without.
    """
    file = tmp_path_factory.mktemp("volumes") / "not-mounted-yet" / "todo.db"
    urls = {
        "sqlite": f"sqlite:///{file}",
        "postgresql": f"postgresql://postgres@127.0.0.1:{find_free_port()}/postgres",
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(started(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET))
            for name, url in urls.items()
        }


def test_server_waits_for_a_database_file_that_cannot_be_made_yet(early: dict[str, Server]):
    server = wait_until_live(early["sqlite"])
    refuses_and_lives(server)
    Path(server.settings["DATABASE_URL"].removeprefix("sqlite:///")).parent.mkdir()
    recovers(server)


def test_server_waits_for_a_postgresql_that_is_not_up_yet(early: dict[str, Server]):
    if postgresql_server.find_binaries() is None:
        pytest.skip("needs the programs of a PostgreSQL, to start one late")
    server = wait_until_live(early["postgresql"])
    refuses_and_lives(server)
    with postgresql_server.started(urlsplit(server.settings["DATABASE_URL"]).port):
        recovers(server)
        server.kill()


def refuses_and_lives(server: Server) -> None:
    with open_client(server.url, timeout=10) as http:
        assert http.get("/health/live").status_code == 200
        for answer in (http.get("/health/ready"), new_user(http).get()):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"


def recovers(server: Server) -> None:
    wait_until_live(server, path="/health/ready", timeout_s=10)
    with open_client(server.url, timeout=10) as http:
        new_user(http).create_task()


def test_migrate_makes_the_schema_and_may_be_run_again(folder: Path, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'todo.db'}"
    first = ended(folder, MIGRATE, DATABASE_URL=url)
    tables = tables_of(url)
    assert first[0] == 0, first[1]
    assert {"users", "tasks"} <= set(tables)
    assert ended(folder, MIGRATE, DATABASE_URL=url)[0] == 0
    assert tables_of(url) == tables


def tables_of(url: str) -> list[str]:
    engine = open_engine(url)
    try:
        return sorted(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_migrate_without_its_database_fails_and_says_why(folder: Path):
    url = f"postgresql://ada:canary@127.0.0.1:{find_free_port()}/todo"
    status, output = ended(folder, MIGRATE, DATABASE_URL=url)
    assert status != 0
    assert "DATABASE_URL" in output
    assert "canary" not in output
    assert "Traceback" not in output


def test_sigterm_ends_the_server_though_a_client_keeps_its_connection(folder: Path, tmp_path: Path):
    with started(folder, DATABASE_URL=f"sqlite:///{tmp_path / 'todo.db'}") as server:
        wait_until_live(server)
        address = urlsplit(server.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as idle:
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            server.process.terminate()
            assert server.process.wait(timeout=8) == 0


UNSECURED = """
import sys
from pathlib import Path

from contract import schemas

schemas.CONTRACT = Path(sys.argv.pop())
from cli.__main__ import main

main()
"""


@pytest.mark.parametrize("security", [[], [{}, {"bearer": []}]], ids=["none", "optional"])
def test_contract_with_a_users_path_open_to_all_does_not_start(
    folder: Path, tmp_path: Path, security: object
):
    contract = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
    contract["paths"]["/api/{user_id}/tasks"]["get"]["security"] = security
    changed = tmp_path / "todo.yaml"
    changed.write_text(yaml.safe_dump(contract), encoding="utf-8")
    command = (sys.executable, "-c", UNSECURED, "serve", str(changed))
    status, output = ended(folder, command, DATABASE_URL=f"sqlite:///{tmp_path / 'todo.db'}")
    assert status != 0
    assert "security/gate.py" in output
