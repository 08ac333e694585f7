"""A standby takes over: the server finds it by itself, and nothing acknowledged is lost or doubled."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.writers import Written, post, signed_in, tasks, tasks_of_keys, writing
from tests.support import postgresql as postgresql_server
from tests.support.postgresql import Programs
from tests.support.programs import leave_out
from tests.support.server import Server, eventually, run_server
from tests.support.standby import Pair, has_programs, standing_by
from tests.support.users import SECRET

ANSWERED_WITHIN_S = 5
GOOD_WITHIN_S = 10
AWAY_S = 0.5  # without a primary


class Case(NamedTuple):
    """What becomes of the primary, and in whose spelling the server was told of the two."""

    name: str
    happens: Callable[[Pair], object]
    url: Callable[[Pair], str]
    round: int = 1  # pytest makes a fixture once for equal parameters


KILLED = Case("killed", lambda pair: pair.primary.kill(), lambda pair: pair.url)
FROZEN = Case("frozen", lambda pair: pair.primary.freeze(), lambda pair: pair.libpq_url)
READ_ONLY = Case("read-only", lambda pair: pair.make_primary_read_only(), lambda pair: pair.url)


class Failover(NamedTuple):
    """What was written through one, and what there was in the end."""

    written: Written
    went_at: float
    promoted_at: float
    is_good: bool  # in time
    stored: list[tuple[str, int]]
    of_keys: dict[str, int | None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a failover looks at one of every kind; `--long`: at ten killed primaries."""
    if "failover" in metafunc.fixturenames:
        rounds = 10 if metafunc.config.getoption("--long") else 1
        cases = [KILLED._replace(round=number) for number in range(1, rounds + 1)] + [FROZEN, READ_ONLY]
        ids = [f"{case.name} {case.round}" for case in cases]
        metafunc.parametrize("failover", cases, indirect=True, scope="module", ids=ids)


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    """Those of the PostgreSQL under test, pg_basebackup among them."""
    if not has_programs():
        leave_out("pg_basebackup is not among PostgreSQL's programs here")
    with postgresql_server.installed() as programs:
        yield programs


@pytest.fixture(scope="module")
def failover(request: pytest.FixtureRequest, programs: Programs, folder: Path) -> Failover:
    """One under load."""
    case: Case = request.param
    with standing_by(programs) as pair, serving(folder, case.url(pair)) as server:
        with writing(server, "ada") as written:
            went_at = time.monotonic()
            case.happens(pair)
            time.sleep(AWAY_S)
            promoted_at = time.monotonic()
            pair.promote()
            is_good = eventually(lambda: written.is_good(since=promoted_at), GOOD_WITHIN_S)
        with signed_in(server, "ada") as ada:
            of_keys, stored = tasks_of_keys(ada, written.retried), tasks(ada)
    first_s, slowest_s = written.first_good_s(since=promoted_at), written.slowest_s()
    print(f"{case.name}: good {first_s:.2f} s after promote, slowest answer {slowest_s:.2f} s")
    return Failover(written, went_at, promoted_at, is_good, stored, of_keys)


def serving(folder: Path, url: str) -> AbstractContextManager[Server]:
    return run_server(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)


def test_writes_are_good_within_ten_seconds_of_promote(failover: Failover):
    assert failover.written.first_good_s(since=failover.promoted_at) < GOOD_WITHIN_S
    assert failover.is_good


def test_writes_are_503_only_meanwhile(failover: Failover):
    assert failover.written.statuses(until=failover.went_at) == {201}
    assert failover.written.statuses(since=failover.went_at) - {409} == {201, 503}


def test_every_write_is_answered_within_five_seconds(failover: Failover):
    assert failover.written.slowest_s() < ANSWERED_WITHIN_S


def test_everything_acknowledged_is_on_the_new_primary(failover: Failover):
    assert failover.written.acknowledged.items() <= dict(failover.stored).items()


def test_what_is_retried_with_a_key_is_stored_once(failover: Failover):
    written = failover.written
    assert written.retried
    assert failover.of_keys == {title: written.acknowledged.get(title) for title in written.retried}
    assert len({title for title, _ in failover.stored}) == len(failover.stored)


def test_what_the_standby_does_not_have_is_not_acknowledged(programs: Programs, folder: Path):
    with (
        standing_by(programs) as pair,
        serving(folder, pair.url) as server,
        signed_in(server, "ada") as ada,
    ):
        ada.create_task("milk")
        with pair.standby.frozen(), ThreadPoolExecutor(1) as thread:
            without_key = thread.submit(post, ada, "bread", has_key=False)
            with_key = [post(ada, "butter", has_key=True).status_code for _ in range(2)]
            assert [*with_key, without_key.result().status_code] == [503, 503, 503]
        assert eventually(lambda: post(ada, "butter", has_key=True).status_code == 201, GOOD_WITHIN_S)
        assert sorted(title for title, _ in tasks(ada)) in (["bread", "butter", "milk"], ["butter", "milk"])
