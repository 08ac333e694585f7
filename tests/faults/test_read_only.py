"""A server on a read-only disk serves reads, and writes when the disk is writable."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import serving, settings, volume, write_protect
from tests.support.contract_checks import open_client
from tests.support.server import Server, eventually, start_server, wait_until_live
from tests.support.users import User, new_user

RECOVERY_S = 10


@dataclass
class Started:
    """A server on a read-only volume, with or without tasks."""

    server: Server
    ada: User
    folder: Path


def after_a_stop(folder: Path, file: Path) -> User:
    with serving(folder, file) as (_, ada):
        return ada


def after_a_kill(folder: Path, file: Path) -> User:
    with serving(folder, file) as (server, ada):
        server.kill()
        return ada


def before_the_first_start(_folder: Path, _file: Path) -> User:
    return new_user(httpx.Client())


CASES = (after_a_stop, after_a_kill, before_the_first_start)


@pytest.fixture(scope="module")
def all_started(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Started]]:
    """A server for each case, started together, because each waits 5 s for its database."""
    with ExitStack() as stack:
        started = {}
        for case in CASES:
            place = stack.enter_context(volume(tmp_path_factory.mktemp("volume")))
            ada = case(folder, place / "todo.db")
            write_protect(place, is_on=True)
            server = start_server(folder, **settings(place / "todo.db"))
            stack.callback(server.kill)
            ada.http = stack.enter_context(open_client(server.url))
            started[case.__name__] = Started(server, ada, place)
        for one in started.values():
            wait_until_live(one.server)
        yield started


@pytest.fixture(params=[case.__name__ for case in CASES])
def started(request: pytest.FixtureRequest, all_started: dict[str, Started]) -> Started:
    return all_started[request.param]


def test_server_is_live_and_ready_only_if_it_can_read(started: Started):
    http = started.ada.http
    assert http.get("/health/live").status_code == 200
    status = started.ada.get().status_code
    assert status in {200, 503}
    assert http.get("/health/ready").status_code == status


def test_write_requests_are_503(started: Started):
    assert started.ada.post({"title": "Buy bread"}).status_code == 503


def test_after_a_kill_everything_can_be_read(all_started: dict[str, Started]):
    started = all_started["after_a_kill"]
    assert started.ada.http.get("/health/ready").status_code == 200
    assert len(started.ada.titles()) == 5
    assert started.ada.get("/1").status_code == 200


def test_no_internal_error_is_logged(started: Started):
    assert "Traceback" not in started.server.log
    assert '"level":"error"' not in started.server.log


def test_server_recovers_within_ten_seconds_after_the_disk_is_writable(started: Started):
    write_protect(started.folder, is_on=False)
    assert eventually(lambda: started.ada.post({"title": "Buy bread"}).status_code == 201, RECOVERY_S)
    assert started.ada.http.get("/health/ready").status_code == 200
    assert "Buy bread" in started.ada.titles()
