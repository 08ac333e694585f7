"""PostgreSQL ends connections, has none left, or none that may write."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.faults.load import break_under_load
from tests.faults.postgresql_site import (
    CONNECTIONS,
    OF_THE_SERVER,
    RECOVERY_S,
    Site,
    at_once,
    create_with_key,
    new_site,
    site_on,
    statuses,
    under_way,
)
from tests.support.postgresql import new_database
from tests.support.server import eventually
from tests.support.users import new_user

AT_ONCE = 2 * CONNECTIONS


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with new_site(folder) as site:
        yield site


@pytest.mark.parametrize(
    ("method", "body", "expected"), [("GET", None, 200), ("POST", {"title": "Buy bread"}, 201)]
)
def test_connections_closed_while_idle_cause_no_error(site: Site, method: str, body: object, expected: int):
    ada = new_user(site.http)
    site.connect()
    assert site.cut_off() == CONNECTIONS
    time.sleep(0.1)  # for the farewells to arrive
    assert statuses(at_once([lambda: ada.request(method, json=body)] * AT_ONCE)) == {expected}


def test_connections_lost_during_use_lose_and_duplicate_nothing(site: Site, is_long: bool):
    cut_off = 0
    with (
        site.dawdling(0.02),
        break_under_load(site.server.url, lambda _: site.is_well()) as load,
    ):
        started_at = time.monotonic()
        until = started_at + (30 if is_long else 1.5)
        while time.monotonic() < until or (cut_off <= 10 and time.monotonic() < started_at + 60):
            cut_off += site.cut_off("active")
            time.sleep(0.05)
    assert cut_off > 10
    load.check()


def test_read_whose_connection_is_lost_is_repeated_once_and_a_write_without_a_key_is_not(site: Site):
    ada = new_user(site.http)
    ada.create_task()
    requests = [ada.get, lambda: ada.post({"title": "Buy bread"})]
    with ExitStack() as lock:
        lock.enter_context(site.locked())
        with under_way(requests) as answers:
            assert eventually(lambda: waiting(site) == 2, within_s=2)
            assert site.cut_off("active") == 2
            assert eventually(lambda: waiting(site) == 1, within_s=2)
            lock.close()
            read, write = answers()
    assert (read.status, write.status) == (200, 503)


def waiting(site: Site) -> int:
    """Return how many statements of the server wait for a lock."""
    return len(site.sql(f"SELECT {OF_THE_SERVER} AND wait_event_type = 'Lock'"))


def test_write_whose_connection_dies_after_its_commit_is_stored_once(site: Site):
    ada = new_user(site.http)
    ada.create_task()
    requests = [lambda: ada.post({"title": "Buy bread"}), lambda: create_with_key(ada, "Buy eggs")]
    with commits_unanswered(site), under_way(requests) as answers:
        assert eventually(lambda: committing(site) == 2, within_s=2)
        assert site.cut_off("active") == 2
        without_key, with_key = answers()
    assert without_key.status == 503
    assert with_key.status in {201, 503}
    assert create_with_key(ada, "Buy eggs").status_code == 201
    assert sorted(site.titles(ada.id)) == ["Buy bread", "Buy eggs", "Buy milk"]


@contextmanager
def commits_unanswered(site: Site) -> Iterator[None]:
    """Require a synchronous standby that does not exist, so that commits are not acknowledged."""
    with psycopg.connect(site.postgresql.url, autocommit=True) as administrator:
        administrator.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            administrator.execute("SELECT pg_reload_conf()")
            time.sleep(0.2)  # for its processes to have heard
            yield
        finally:
            administrator.execute("ALTER SYSTEM RESET synchronous_standby_names")
            administrator.execute("SELECT pg_reload_conf()")


def committing(site: Site) -> int:
    """How many have committed and wait for leave to say so."""
    return len(site.sql("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))


def test_connections_above_the_limit_of_the_role_are_503_or_wait(site: Site, folder: Path):
    site.sql("CREATE ROLE todo LOGIN CONNECTION LIMIT 4")
    database = make_url(new_database(site.postgresql.url))
    site.sql(f"ALTER DATABASE {database.database} OWNER TO todo")
    url = database.set(username="todo").render_as_string()
    with site_on(site.postgresql, folder, url) as limited:
        ada = new_user(limited.http)
        ada.create_task()
        for request in (ada.get, lambda: ada.post({"title": "Buy bread"})):
            served = statuses(at_once([request] * AT_ONCE)) - {503}
            assert served in ({200}, {201})
        site.sql("ALTER ROLE todo CONNECTION LIMIT -1")
        assert eventually(limited.is_well, RECOVERY_S)


def test_read_only_database_is_read_and_written_when_it_is_writable_again(site: Site):
    ada = new_user(site.http)
    task = ada.create_task()
    with read_only(site):
        for _ in range(3):
            assert statuses(at_once([ada.get] * AT_ONCE)) == {200}
            assert statuses(at_once([lambda: ada.post({"title": "Buy bread"})] * AT_ONCE)) == {503}
        assert ada.patch(f"/{task['id']}", {"completed": True}).status_code == 503
        assert statuses(at_once([ada.get] * AT_ONCE)) == {200}
    assert eventually(site.is_well, RECOVERY_S)
    assert site.titles(ada.id) == ["Buy milk"]


def test_connections_opened_while_read_only_write_later(site: Site, is_long: bool):
    ada = new_user(site.http)
    ada.create_task()
    with read_only(site):
        assert statuses(at_once([ada.get] * AT_ONCE)) == {200}
    assert eventually(lambda: ada.post({"title": "Buy bread"}).status_code == 201, RECOVERY_S)
    if is_long:
        time.sleep(RECOVERY_S)
    assert statuses(at_once([lambda: ada.post({"title": "Buy bread"})] * AT_ONCE)) == {201}


@contextmanager
def read_only(site: Site) -> Iterator[None]:
    """As a hosted database that has run out of space, or a standby. Connections stay as they began."""
    name = make_url(site.server.settings["DATABASE_URL"]).database
    with psycopg.connect(site.postgresql.url, autocommit=True) as administrator:
        administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            site.cut_off()
            time.sleep(0.1)  # for the farewells to arrive
            yield
        finally:
            administrator.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
