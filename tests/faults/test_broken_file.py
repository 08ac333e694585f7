"""A malformed or truncated SQLite file: requests are 503, and only the log names the cause."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import serving, settings
from tests.support.contract_checks import open_client
from tests.support.server import Server, start_server, wait_until_live
from tests.support.users import User, new_user

REQUESTS = 10
GARBAGE = bytes(range(256)) * 100
TRUNCATED_BYTES = 5000  # a page and a bit
CASES = {"garbage": "not a database", "truncated": "malformed"}


def make(case: str, folder: Path, file: Path) -> None:
    if case == "garbage":
        file.write_bytes(GARBAGE)
        return
    with serving(folder, file):
        pass
    file.write_bytes(file.read_bytes()[:TRUNCATED_BYTES])


@pytest.fixture(scope="module")
def all_started(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """A server for each case, started together, because each waits 5 s for its database."""
    with ExitStack() as stack:
        servers = {}
        for case in CASES:
            file = tmp_path_factory.mktemp("broken") / "todo.db"
            make(case, folder, file)
            servers[case] = start_server(folder, **settings(file))
            stack.callback(servers[case].kill)
        yield {case: wait_until_live(server) for case, server in servers.items()}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(case: str, all_started: dict[str, Server]) -> Server:
    return all_started[case]


@pytest.fixture
def ada(server: Server) -> Iterator[User]:
    with open_client(server.url) as http:
        yield new_user(http)


@pytest.fixture
def unheld(server: Server) -> Iterator[User]:
    """A user whose responses are not checked against the contract."""
    with httpx.Client(base_url=server.url, timeout=20, verify=False) as http:
        yield new_user(http)


def test_server_is_live_but_not_ready(ada: User):
    assert ada.http.get("/health/live").status_code == 200
    assert ada.http.get("/health/ready").status_code == 503


def test_requests_for_tasks_are_503(ada: User):
    assert [ada.get().status_code, ada.get("/1").status_code] == [503, 503]
    assert [ada.post({"title": "Buy milk"}).status_code, ada.delete("/1").status_code] == [503, 503]


def test_responses_name_neither_the_file_nor_the_cause(unheld: User, server: Server):
    for answer in (unheld.get(), unheld.post({"title": "Buy milk"}), unheld.http.get("/health/ready")):
        for word in ("todo.db", "sqlite", "malformed", "not a database", server.settings["DATABASE_URL"]):
            assert word not in answer.text.lower()


def test_log_names_the_cause(server: Server, case: str):
    assert CASES[case] in server.log


def test_requests_log_no_traceback(unheld: User, server: Server):
    request_ids = {unheld.get().headers["x-request-id"] for _ in range(REQUESTS)}
    lines = [line for line in server.log.splitlines() if any(found in line for found in request_ids)]
    assert len(lines) >= REQUESTS
    assert [line for line in lines if "Traceback" in line] == []


def test_file_is_unchanged(unheld: User, server: Server, case: str):
    assert unheld.post({"title": "Buy milk"}).status_code >= 500
    file = Path(server.settings["DATABASE_URL"].removeprefix("sqlite:///"))
    assert file.read_bytes() == GARBAGE if case == "garbage" else file.stat().st_size == TRUNCATED_BYTES
