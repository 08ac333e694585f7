"""Behind PgBouncer in transaction mode everybody gets their own rows, and its restart loses nothing."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import break_under_load
from tests.support import pgbouncer
from tests.support import postgresql as postgresql_server
from tests.support.contract_checks import open_client
from tests.support.pgbouncer import POOL_SIZE, PgBouncer
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user

SERVERS, CLIENTS = 2, 16
AWAY_S = 1


@pytest.fixture(scope="module")
def pooler(postgresql: str) -> Iterator[PgBouncer]:
    """One in front of an empty PostgreSQL."""
    with pgbouncer.started(postgresql) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def servers(pooler: PgBouncer, postgresql: str, folder: Path) -> Iterator[list[Server]]:
    """Several on one new database, behind the one pooler."""
    url = pooler.url(postgresql_server.new_database(postgresql))
    settings = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "off"}
    with ExitStack() as stack:
        yield [stack.enter_context(run_server(folder, **settings)) for _ in range(SERVERS)]


def test_every_operation_on_tasks_works_through_it(pooler: PgBouncer, servers: list[Server]):
    before = pooler.queries()
    with open_client(servers[0].url) as http:
        ada = new_user(http)
        created = ada.post_with_key("first")
        assert ada.post_with_key("first").content == created.content
        assert ada.post_with_key("first", {"title": "other"}).status_code == 422
        path = f"/{created.json()['id']}"
        assert ada.put(path, {"title": "put"}).json()["title"] == "put"
        assert ada.patch(path, {"description": "patched"}).json()["description"] == "patched"
        stale = {"If-Match": created.headers["etag"]}
        assert ada.request("DELETE", path, headers=stale).status_code == 412
        assert ada.complete(created.json()["id"]).json()["completed"] is True
        titles = [ada.create_task(f"task {number}")["title"] for number in range(3)]
        assert [task["title"] for task in ada.list_all(limit=2)] == [*reversed(titles), "put"]
        assert ada.delete(path).status_code == 204
        assert ada.get(path).status_code == 404
    assert pooler.queries() - before >= 13


def test_no_response_contains_a_row_of_another_user(servers: list[Server], is_long: bool):
    rounds = 200 if is_long else 20
    assert CLIENTS > POOL_SIZE
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(rights, url, rounds) for url in urls(servers)]
        answers = [right for client in clients for right in client.result()]
    print(f"{len(answers)} answers, {answers.count(False)} of them wrong")
    assert len(answers) == CLIENTS * rounds * 5
    assert answers.count(False) == 0


def urls(servers: list[Server]) -> list[str]:
    """Of the server of each client."""
    return [server.url for server, _ in zip(cycle(servers), range(CLIENTS), strict=False)]


def rights(url: str, rounds: int) -> list[bool]:
    """Return whether each response to a new user contains exactly that user's tasks."""
    with open_client(url) as http:
        person, mine, found = new_user(http), list[Any](), list[bool]()
        for number in range(rounds):
            found += round_of(person, f"{person.id} {number}", mine)
    return found


def round_of(person: User, title: str, mine: list[Any]) -> Iterator[bool]:
    """Create, read, list, toggle and list. `mine` are the user's tasks, newest first."""
    created = person.post({"title": title}).json()
    yield (created["user_id"], created["title"], created["completed"]) == (person.id, title, False)
    yield person.get(f"/{created['id']}").json() == created
    mine.insert(0, created)
    yield person.get().json() == mine
    toggled = person.complete(created["id"]).json()
    yield toggled == created | {"completed": True, "updated_at": toggled["updated_at"], "version": 2}
    mine[0] = toggled
    yield person.get(status="completed").json() == mine


def test_restart_of_the_pooler_is_503_and_loses_nothing(servers: list[Server], pooler: PgBouncer):
    with break_under_load(servers[0].url) as load:
        pooler.kill()
        time.sleep(AWAY_S)
        pooler.start()
    assert 503 in load.statuses()
    load.check()
