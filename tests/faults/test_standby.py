"""Failover to a standby: the server finds the standby, and nothing acknowledged is lost or duplicated."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.load import RECOVERY_S, break_under_load
from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.postgresql import Programs
from tests.support.programs import leave_out
from tests.support.server import Server, eventually, run_server
from tests.support.standby import Pair, has_programs, standing_by
from tests.support.users import SECRET, new_user

AWAY_S = 0.5  # without a primary


class Case(NamedTuple):
    """The fault of the primary, and the spelling of the URL of both servers."""

    break_primary: Callable[[Pair], object]
    url: Callable[[Pair], str]


CASES = {
    "killed": Case(lambda pair: pair.primary.kill(), lambda pair: pair.url),
    "frozen": Case(lambda pair: pair.primary.freeze(), lambda pair: pair.libpq_url),
    "read-only": Case(lambda pair: pair.make_primary_read_only(), lambda pair: pair.url),
}


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    """The programs of the PostgreSQL under test, pg_basebackup among them."""
    if not has_programs():
        leave_out("pg_basebackup is not among PostgreSQL's programs here")
    with postgresql_server.installed() as programs:
        yield programs


@pytest.mark.parametrize("name", CASES)
def test_failover_is_503_until_promote_and_loses_nothing(
    name: str, programs: Programs, folder: Path, is_long: bool
):
    case = CASES[name]
    for _ in range(10 if is_long and name == "killed" else 1):
        with standing_by(programs) as pair, serving(folder, case.url(pair)) as server:
            with break_under_load(server.url) as load:
                case.break_primary(pair)
                time.sleep(AWAY_S)
                pair.promote()
            assert 503 in load.statuses()
            load.check()


def serving(folder: Path, url: str) -> AbstractContextManager[Server]:
    return run_server(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)


def test_write_that_the_standby_does_not_have_is_not_acknowledged(programs: Programs, folder: Path):
    with (
        standing_by(programs) as pair,
        serving(folder, pair.url) as server,
        open_client(server.url, timeout=10) as http,
    ):
        ada = new_user(http)
        ada.create_task("milk")
        with pair.standby.frozen(), ThreadPoolExecutor(1) as thread:
            without_key = thread.submit(ada.post, {"title": "bread"})
            with_key = [ada.post_with_key("butter").status_code for _ in range(2)]
            assert [*with_key, without_key.result().status_code] == [503, 503, 503]
        assert eventually(lambda: ada.post_with_key("butter").status_code == 201, RECOVERY_S)
        titles = sorted(task["title"] for task in ada.list_all())
        assert titles in (["bread", "butter", "milk"], ["butter", "milk"])
