"""Fixtures: databases, servers, users. A test that uses them runs on SQLite and on PostgreSQL."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.databases import DATABASES
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user

SHARED_SERVERS = {"secret_server", "account_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--database` and `--long`."""
    parser.addoption("--database", choices=DATABASES, help="leave out the tests on the other database")
    parser.addoption("--long", action="store_true", help="run the tests of tests/faults at full length")


def pytest_configure() -> None:
    """Restore SIGINT, which a shell's background job ignores, and so does every process that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests on the database that `--database` leaves out, and group the others.

    pytest-xdist runs a group in one process, so that each shared server is started once. It compares the
    IDs that its processes collect: a token, signed at import, would differ between them.
    """
    with_token = [item.nodeid for item in items if "eyJ" in item.nodeid]
    if with_token:
        raise pytest.UsageError(f"a token in the ID of a test: give {with_token[0].partition('[')[0]} `ids`")
    only = config.getoption("--database")
    left_out = [item for item in items if only is not None and database_of(item.nodeid) not in {None, only}]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))


def group_of(item: pytest.Item) -> str:
    """Return the database for tests of a server that all files share, else the file and the database."""
    database = database_of(item.nodeid)
    is_shared = not SHARED_SERVERS.isdisjoint(getattr(item, "fixturenames", ()))
    return str(database) if is_shared else f"{item.path.name} {database}"


def database_of(nodeid: str) -> str | None:
    """Return the database in the parameters of a test, None for a test without one."""
    parameters = nodeid.partition("[")[2].partition("]")[0].split("-")
    return next((database for database in DATABASES if database in parameters), None)


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether tests run at full length (`make test-long`)."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server."""
    with postgresql_server.server() as url:
        yield url


@pytest.fixture(scope="session", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database. A test that uses this fixture, however indirectly, runs once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def new_database(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Create an empty database and return its URL."""
    if database == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'todo.db'}"
    server_url = request.getfixturevalue("postgresql")
    return lambda: postgresql_server.new_database(server_url)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of the servers, without a .env or a todo.db."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def secret_server(new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server that verifies tokens by a shared secret, so that a test can make up any user."""
    with run_server(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture(scope="session")
def account_server(new_database: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server with the built-in issuer and its accounts."""
    with run_server(folder, DATABASE_URL=new_database()) as server:
        yield server


@pytest.fixture(scope="session")
def http(secret_server: Server) -> Iterator[httpx.Client]:
    """A client of `secret_server` without a token."""
    with open_client(secret_server.url) as client:
        yield client


@pytest.fixture(scope="session")
def accounts(account_server: Server) -> Iterator[httpx.Client]:
    """A client of `account_server` without a token."""
    with open_client(account_server.url) as client:
        yield client


@pytest.fixture
def ada(http: httpx.Client) -> User:
    """A new user of `secret_server`."""
    return new_user(http, "ada")


@pytest.fixture
def bob(http: httpx.Client) -> User:
    """Another new user of `secret_server`."""
    return new_user(http, "bob")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests passed on each database, so that a missing PostgreSQL is seen."""
    passed = Counter(database_of(report.nodeid) for report in terminalreporter.stats.get("passed", []))
    counts = ", ".join(f"{passed[database]} on {database}" for database in DATABASES)
    terminalreporter.write_line(f"passed: {counts}, {passed[None]} without a database")
