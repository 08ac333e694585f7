"""Fixtures: databases, servers, people. Everything runs on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests import postgresql as postgresql_server
from tests.people import SECRET, Person, new_person
from tests.promises import client_of
from tests.server import Server, running
from tests.walls import Wall, standing

DATABASES = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: as many rounds as it takes to believe it, not just as many as show that it works."""
    parser.addoption("--long", action="store_true", help="run the tests of tests/faults at full length")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether tests are to take their time (`make test-long`)."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server."""
    with postgresql_server.server() as url:
        yield url


@pytest.fixture(scope="session", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test that uses it, however indirectly, runs once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def new_database(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Makes an empty database and gives its URL."""
    if database == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'todo.db'}"
    server_url = request.getfixturevalue("postgresql")
    return lambda: postgresql_server.new_database(server_url)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers run: no .env, no todo.db of the person who runs the tests."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def secret_server(new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server whose tokens a frontend signs with a shared secret; anyone may be invented."""
    with running(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture(scope="session")
def account_server(new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server with accounts of its own."""
    with running(folder, DATABASE_URL=new_database()) as server:
        yield server


@pytest.fixture(scope="session")
def http(secret_server: Server) -> Iterator[httpx.Client]:
    """A client of `secret_server`, signed in as nobody."""
    with client_of(secret_server.url) as client:
        yield client


@pytest.fixture(scope="session")
def accounts(account_server: Server) -> Iterator[httpx.Client]:
    """A client of `account_server`, signed in as nobody."""
    with client_of(account_server.url) as client:
        yield client


@pytest.fixture(scope="module")
def wall(new_database: Callable[[], str], folder: Path) -> Iterator[Wall]:
    """The wall between two people who have a server to themselves."""
    with (
        running(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET) as server,
        standing(server) as wall,
    ):
        yield wall


@pytest.fixture
def ada(http: httpx.Client) -> Person:
    """Someone signed in, new to the server."""
    return new_person(http, "ada")


@pytest.fixture
def bob(http: httpx.Client) -> Person:
    """Someone else."""
    return new_person(http, "bob")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran on each database, so that a PostgreSQL left out is seen."""
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    ran = Counter(
        database for nodeid in passed for database in DATABASES if database in nodeid.partition("[")[2]
    )
    terminalreporter.write_line(
        ", ".join(f"{ran[database]} tests passed on {database}" for database in DATABASES)
    )
