"""A server that is killed again and again loses nothing that it acknowledged, and repeats nothing."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.faults.load import NO_RESPONSE, SUCCESSES, Load, run_clients
from tests.support.server import Server, find_free_port, start_server, wait_until_live
from tests.support.users import SECRET

LIFE_S = 0.2, 0.4
KEY_FREE_S = 8


@pytest.fixture(scope="module")
def killed(
    new_database: Callable[[], str], folder: Path, database: str, is_long: bool
) -> Iterator[tuple[Load, Server]]:
    """The load through several kills, and the last server."""
    rounds = 100 if is_long else 10
    settings = {
        "DATABASE_URL": new_database(),
        "BETTER_AUTH_SECRET": SECRET,
        "PORT": str(find_free_port()),
    }
    server = start_server(folder, **settings)
    try:
        with run_clients(server.url) as load:
            for _ in range(rounds):
                wait_until_live(server, path="/health/ready")
                time.sleep(random.uniform(*LIFE_S))
                server.kill()
                server = start_server(folder, **settings)
            wait_until_live(server, path="/health/ready")
            time.sleep(0.3)
        print(f"{rounds} kills on {database}: {load}")
        yield load, server
    finally:
        server.kill()


def test_everything_acknowledged_is_stored_once(killed: tuple[Load, Server]):
    load, _ = killed
    assert sum(len(client.tasks) for client in load.clients) > 20
    assert sum(len(client.deleted) for client in load.clients) > 10
    load.check_stored()


def test_key_of_a_killed_server_frees_itself_within_eight_seconds(killed: tuple[Load, Server]):
    load, _ = killed
    assert load.retries_s
    assert max(load.retries_s) < KEY_FREE_S


def test_responses_between_the_kills_are_successes_or_ask_for_a_retry(killed: tuple[Load, Server]):
    load, _ = killed
    assert load.statuses() <= SUCCESSES | {NO_RESPONSE, 409, 412, 503}


def test_database_file_is_sound_after_the_kills(killed: tuple[Load, Server], database: str):
    if database == "sqlite":
        with killed[1].database() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
