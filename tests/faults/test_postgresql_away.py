"""PostgreSQL stops and starts again, or freezes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.load import RECOVERY_S, break_under_load
from tests.faults.postgresql_site import (
    CONNECTIONS,
    DEADLINE_S,
    Site,
    longest_s,
    new_site,
    one_of_each,
    site_on,
    statuses,
    under_way,
    watched,
)
from tests.support.postgresql import PostgreSQL
from tests.support.server import eventually
from tests.support.users import new_user


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with new_site(folder) as site:
        yield site


@pytest.mark.parametrize("end", [PostgreSQL.stop, PostgreSQL.kill])
def test_restart_under_load_loses_and_duplicates_nothing(
    site: Site, end: Callable[[PostgreSQL], None], is_long: bool
):
    for _ in range(5 if is_long else 1):
        with break_under_load(site.server.url, lambda _: site.is_well()) as load:
            end(site.postgresql)
            time.sleep(0.5)
            site.postgresql.start()
        assert 503 in load.statuses()
        load.check()


def test_frozen_database_is_503_in_time_while_the_server_lives_and_serves_again(site: Site, is_long: bool):
    ada = new_user(site.http)
    requests = [*one_of_each(ada, ada.create_task()["id"]), site.ready]
    with (
        break_under_load(site.server.url, lambda _: site.is_well(), clients=CONNECTIONS + 2) as load,
        site.postgresql.frozen(),
    ):
        for _ in range(5 if is_long else 2):
            with under_way(requests) as answers:
                lives = watched(site, 4)
                asked = answers()
            assert (statuses(lives), statuses(asked)) == ({200}, {503})
            assert longest_s(lives) < 1
            assert longest_s(asked) < DEADLINE_S
    left_s = load.restored_at + RECOVERY_S - time.monotonic()
    assert eventually(site.is_idle, within_s=left_s)
    assert 503 in load.statuses()
    load.check()


def test_sigterm_while_frozen_completes_waiting_requests_and_ends(site: Site, folder: Path):
    with site_on(site.postgresql, folder) as ending:
        ada = new_user(ending.http)
        requests = one_of_each(ada, ada.create_task()["id"])
        ending.connect()
        with site.postgresql.frozen(), under_way(requests * 2) as answers:
            time.sleep(0.5)  # until all requests run
            ending.server.process.terminate()
            assert ending.server.process.wait(timeout=8) == 0
            assert statuses(answers()) == {503}
