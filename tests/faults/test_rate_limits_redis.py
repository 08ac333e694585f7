"""Rate limits that several servers share in a Redis, and without the Redis."""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import redis_server as redis
from tests.support.contract_checks import open_client
from tests.support.metrics_text import read_metric
from tests.support.rate_limits import THREADS, Send, send_at_once, send_times
from tests.support.redis_server import Redis
from tests.support.server import Server, eventually, run_server, start_server, wait_until_live
from tests.support.users import SECRET, User, new_user, sign_token

COUNT = 10
AT_ONCE = 4 * THREADS
ANSWERED_WITHIN_S = 5
WITHOUT_A_WAIT_S = 0.25  # a request that waits for Redis takes longer, others take milliseconds
COUNTED_AGAIN_WITHIN_S = 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis.run_redis(tmp_path_factory.mktemp("redis")) as store:
        yield store


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings without the Redis. The counts do not depend on the database."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    return {"DATABASE_URL": f"sqlite:///{file}", "RATE_LIMIT": "on", "RATE_LIMIT_API": f"{COUNT}/hour"}


@pytest.fixture(scope="module")
def servers(folder: Path, store: Redis, settings: dict[str, str]) -> Iterator[list[Server]]:
    """Two that share a Redis."""
    shared = settings | {"BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT_STORAGE": store.url}
    with ExitStack() as stack:
        yield [stack.enter_context(run_server(folder, **shared)) for _ in range(2)]


@pytest.fixture(scope="module")
def clients(servers: list[Server]) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_client(server.url)) for server in servers]


def at(http: httpx.Client, person: User) -> User:
    """Return the same user at another server."""
    return User(http, person.id, sign_token(person.id))


def statuses_at_once(sends: Sequence[Send]) -> list[int]:
    """Send all requests at once and return the statuses, sorted."""
    return sorted(response.status_code for response in send_at_once(sends))


def is_counted_together(clients: list[httpx.Client]) -> bool:
    """Return whether both servers share the count of a new user."""
    one, other = clients
    ada = new_user(one)
    assert send_times(ada.get, COUNT) == [200] * COUNT
    return at(other, ada).get().status_code == 429


def test_two_servers_share_the_count(clients: list[httpx.Client]):
    assert is_counted_together(clients)


def test_exactly_the_limit_succeeds_when_requests_arrive_at_both_servers_at_once(
    clients: list[httpx.Client], is_long: bool
):
    for _ in range(50 if is_long else 5):
        ada = new_user(clients[0])
        statuses = statuses_at_once([at(http, ada).get for http in clients] * (AT_ONCE // 2))
        assert statuses == [200] * COUNT + [429] * (AT_ONCE - COUNT)


def test_redis_expires_counts_with_their_window(store: Redis, clients: list[httpx.Client]):
    new_user(clients[0]).get()
    lifetimes = [store.client.ttl(key) for key in store.client.scan_iter()]
    assert lifetimes
    assert all(0 < lifetime <= 3600 for lifetime in lifetimes)


@contextmanager
def frozen(store: Redis) -> Iterator[None]:
    store.freeze()
    try:
        yield
    finally:
        store.thaw()


@contextmanager
def killed(store: Redis) -> Iterator[None]:
    store.kill()
    try:
        yield
    finally:
        store.start()


@contextmanager
def full(store: Redis) -> Iterator[None]:
    store.take_nothing_more()
    try:
        yield
    finally:
        store.take_all()


def timed(ask: Callable[[], httpx.Response]) -> tuple[int, float]:
    began = time.monotonic()
    return ask().status_code, time.monotonic() - began


def warnings_of(server: Server, since: int) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log[since:].splitlines()]
    return [line for line in lines if line["level"] in {"warning", "error", "critical"}]


def goes_on_alone(server: Server, http: httpx.Client) -> None:
    """Fail unless the server limits by its own count, quickly, without errors, and with one warning."""
    logged = len(server.log)
    first = [timed(new_user(http).get) for _ in range(3)]
    ada = new_user(http)
    statuses = statuses_at_once([ada.get] * AT_ONCE)
    later = [timed(new_user(http).get) for _ in range(20)]
    assert statuses == [200] * COUNT + [429] * (AT_ONCE - COUNT)
    assert {status for status, _ in first + later} == {200}
    assert max(duration_s for _, duration_s in first + later) < ANSWERED_WITHIN_S
    assert statistics.median(duration_s for _, duration_s in later) < WITHOUT_A_WAIT_S
    levels = [line["level"] for line in warnings_of(server, logged)]
    assert 1 <= len(levels) <= 5
    assert set(levels) == {"warning"}


@pytest.mark.parametrize("away", [killed, frozen, full])
def test_each_server_counts_alone_while_redis_is_unreachable_and_together_afterwards(
    store: Redis, servers: list[Server], clients: list[httpx.Client], away: Any
):
    assert eventually(lambda: is_counted_together(clients), COUNTED_AGAIN_WITHIN_S)
    with away(store):
        goes_on_alone(servers[0], clients[0])
        assert not is_counted_together(clients)
        assert read_metric(clients[0], "todo_rate_limit_storage_away") == 1
    assert eventually(lambda: is_counted_together(clients), COUNTED_AGAIN_WITHIN_S)
    assert read_metric(clients[0], "todo_rate_limit_storage_away") == 0
    assert [server for server in servers if redis.PASSWORD in server.log] == []


@pytest.mark.parametrize("away", [killed, frozen])
def test_concurrent_requests_succeed_in_time_when_redis_stops(
    store: Redis, clients: list[httpx.Client], away: Any
):
    assert eventually(lambda: is_counted_together(clients), COUNTED_AGAIN_WITHIN_S)
    people = [new_user(clients[0]) for _ in range(AT_ONCE)]
    with away(store):
        answers = send_at_once([person.get for person in people])
    assert {answer.status_code for answer in answers} == {200}
    assert max(answer.elapsed.total_seconds() for answer in answers) < ANSWERED_WITHIN_S


@pytest.mark.parametrize("is_frozen", [False, True], ids=["never there", "frozen from the start"])
def test_server_starts_without_redis_and_uses_it_when_it_is_up(
    folder: Path, tmp_path: Path, settings: dict[str, str], is_frozen: bool
):
    secret = {"BETTER_AUTH_SECRET": SECRET}
    with redis.absent(tmp_path) as store:
        if is_frozen:
            store.start()
            store.freeze()
        with (
            run_server(folder, **settings, **secret, RATE_LIMIT_STORAGE=store.url) as server,
            open_client(server.url) as http,
        ):
            assert send_times(new_user(http).get, COUNT + 1) == [200] * COUNT + [429]
            (store.thaw if is_frozen else store.start)()
            assert eventually(lambda: is_counted_there(store, http), COUNTED_AGAIN_WITHIN_S)


def is_counted_there(store: Redis, http: httpx.Client) -> bool:
    assert new_user(http).get().status_code == 200
    return store.client.dbsize() > 0


CREDENTIALS = {"email": "Grace.Hopper@example.com", "password": "three green parrots"}
UNKNOWN = CREDENTIALS | {"email": "nobody.at.all@example.com"}


@pytest.fixture(scope="module")
def accounts(folder: Path, store: Redis, settings: dict[str, str]) -> Iterator[Server]:
    """A server with built-in accounts and an empty Redis."""
    store.client.flushall()
    server = start_server(folder, **settings, RATE_LIMIT_STORAGE=store.url)
    try:
        yield wait_until_live(server)
    finally:
        server.kill()


@pytest.fixture(scope="module")
def http(accounts: Server) -> Iterator[httpx.Client]:
    with open_client(accounts.url) as client:
        assert client.post("/api/auth/signup", json=CREDENTIALS).status_code == 201
        yield client


def test_redis_is_told_no_email(store: Redis, http: httpx.Client):
    assert http.post("/api/auth/login", json=CREDENTIALS).status_code == 200
    assert http.post("/api/auth/login", json=UNKNOWN).status_code == 401
    keys = [*store.client.scan_iter()]
    assert len(keys) >= 4  # signing up; logging in from here; to each of the two
    told = b" ".join([*keys, *(store.client.dump(key) for key in keys)]).lower()
    assert [word for word in (b"@", b"grace", b"hopper", b"nobody", b"example.com") if word in told] == []


def test_login_and_the_end_of_a_server_wait_for_no_frozen_redis(
    accounts: Server, store: Redis, http: httpx.Client
):
    with frozen(store):
        for credentials, status in ((CREDENTIALS, 200), (UNKNOWN, 401)):
            answer = http.post("/api/auth/login", json=credentials)
            assert answer.status_code == status
            assert answer.elapsed.total_seconds() < ANSWERED_WITHIN_S
        accounts.process.terminate()
        assert accounts.process.wait(timeout=8) == 0
