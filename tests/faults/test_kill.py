"""A server that is killed again and again loses nothing that it has acknowledged, and does nothing twice."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.faults.ledger import OWNER, Ledger, writing
from tests.faults.tasks import tasks_of
from tests.support.contract_checks import open_client
from tests.support.server import Server, find_free_port, start_server, wait_until_live
from tests.support.users import SECRET, User, sign_token

LOADED_S = 0.2, 0.4
FREED_WITHIN_S = 8


class Life:
    """A server after many lives: what it had acknowledged in them, and what it has."""

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self.server, self.ledger = server, ledger
        with open_client(server.url) as http:
            self.stored = tasks_of(User(http, OWNER, sign_token(OWNER)))
        self.titles = Counter(task["title"] for task in self.stored)


@pytest.fixture(scope="module")
def life(new_database: Callable[[], str], folder: Path, database: str, is_long: bool) -> Iterator[Life]:
    rounds = 100 if is_long else 10
    settings = {
        "DATABASE_URL": new_database(),
        "BETTER_AUTH_SECRET": SECRET,
        "PORT": str(find_free_port()),
    }
    server = start_server(folder, **settings)
    try:
        with writing(server.url) as ledger:
            for _ in range(rounds):
                wait_until_live(server, path="/health/ready")
                time.sleep(random.uniform(*LOADED_S))
                server.kill()
                server = start_server(folder, **settings)
            wait_until_live(server, path="/health/ready")
            time.sleep(0.3)
        print(f"\n{rounds} kills on {database}; {ledger}")
        yield Life(server, ledger)
    finally:
        server.kill()


def test_every_acknowledged_task_is_there_once(life: Life):
    assert len(life.ledger.posted) > 10
    assert {title: life.titles[title] for title in life.ledger.posted if life.titles[title] != 1} == {}


def test_no_task_that_was_never_sent_or_sent_once_is_there_twice(life: Life):
    assert [title for title, times in life.titles.items() if times > 1 and title.startswith("posted")] == []


def test_every_task_with_a_key_is_there_once_as_it_was_acknowledged(life: Life):
    assert len(life.ledger.keyed) > 10
    stored = {task["id"]: task for task in life.stored}
    for key, acknowledged in life.ledger.keyed.items():
        task = json.loads(acknowledged)
        assert (life.titles[key], stored.get(task["id"])) == (1, task)


def test_a_claim_that_a_crash_left_frees_itself_within_eight_seconds(life: Life):
    assert life.ledger.retries_s
    assert max(life.ledger.retries_s) < FREED_WITHIN_S


def test_no_acknowledged_version_goes_back(life: Life):
    assert life.ledger.versions > 10
    assert life.ledger.went_back == []


def test_every_acknowledged_deletion_is_for_good(life: Life):
    assert len(life.ledger.deleted) > 10
    assert life.ledger.deleted.isdisjoint(task["id"] for task in life.stored)


def test_every_answer_between_the_kills_was_a_success_or_worth_another_try(life: Life):
    assert life.ledger.statuses <= {200, 201, 204, 409, 412, 503}


def test_the_database_is_sound(life: Life, database: str):
    if database == "sqlite":
        with life.server.database() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
