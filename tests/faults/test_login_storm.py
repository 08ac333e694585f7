"""Many concurrent logins: the queue for bcrypt is bounded, and other requests succeed."""

import itertools
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.contract_checks import open_client
from tests.support.metrics_text import read_metric
from tests.support.raw_http import connect, read_response
from tests.support.server import eventually, run_server
from tests.support.users import User

# More than may wait; how many may, grows with the cores.
AT_ONCE = 64 * max(1, (os.cpu_count() or 1) // 2)
PASSWORD = "three green parrots"
LATE = "too.late@example.com"
ANSWERED_WITHIN_S = 5
MANY = httpx.Limits(max_connections=None)
_numbers = itertools.count(1)

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Login(NamedTuple):
    """How a login went."""

    status: int
    duration_s: float
    retry_after: int | None


class Storm(NamedTuple):
    """The responses to more logins than can wait, and to other requests at the same time."""

    logins: list[Login]
    meanwhile: list[httpx.Response]
    late_signup: httpx.Response


@pytest.fixture(scope="module")
def unlimited(new_database: Callable[[], str], folder: Path) -> Iterator[httpx.Client]:
    """A client of a server with nothing but its queue to protect it, whatever its database."""
    with (
        run_server(folder, DATABASE_URL=new_database(), RATE_LIMIT="off") as server,
        open_client(server.url, timeout=60, limits=MANY) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def weathered(unlimited: httpx.Client, is_long: bool) -> Storm:
    """A storm from which nothing but the queue protects."""
    ada, _ = signed_in(unlimited)
    task = ada.create_task()
    asks = [ada.get, lambda: ada.get(f"/{task['id']}")]
    asks += [lambda path=path: unlimited.get(f"/health/{path}") for path in ("live", "ready")]
    with storm(unlimited, AT_ONCE * (10 if is_long else 1), AT_ONCE) as under_way:
        assert eventually(lambda: any(login.done() for login in under_way), within_s=10)
        late_signup = send(unlimited, "signup", LATE)
        meanwhile = [ask() for _ in range(10) for ask in asks]
        assert not all(login.done() for login in under_way)
    return Storm([login.result() for login in under_way], meanwhile, late_signup)


def signed_in(http: httpx.Client) -> tuple[User, str]:
    """Someone with an account, and its email."""
    email = f"ada-{next(_numbers)}@example.com"
    assert send(http, "signup", email).status_code == 201
    session = send(http, "login", email).json()
    return User(http, session["user"]["id"], session["access_token"]), email


def send(
    http: httpx.Client, what: str, email: str, password: str = PASSWORD, *, address: str = "192.0.2.1"
) -> httpx.Response:
    body = {"email": email, "password": password}
    return http.post(f"/api/auth/{what}", json=body, headers={"X-Forwarded-For": address})


@contextmanager
def storm(
    http: httpx.Client, logins: int, threads: int, *, address: Callable[[int], str] = lambda _: "192.0.2.2"
) -> Iterator[list[Future[Login]]]:
    """Send so many wrong logins, each to another account, by so many threads, and wait for them."""

    def log_in(number: int) -> Login:
        began = time.monotonic()
        answer = send(
            http, "login", f"nobody-{number}@example.com", "another password", address=address(number)
        )
        retry_after = answer.headers.get("retry-after")
        duration_s = time.monotonic() - began
        return Login(answer.status_code, duration_s, int(retry_after) if retry_after else None)

    with ThreadPoolExecutor(threads) as pool:
        yield [pool.submit(log_in, number) for number in range(logins)]


def test_logins_succeed_or_are_503(weathered: Storm):
    statuses = Counter(login.status for login in weathered.logins)
    assert statuses.keys() == {401, 503}
    assert statuses[401] >= 10


def test_rejected_login_is_503_in_time_with_retry_after(weathered: Storm):
    refused = [login for login in weathered.logins if login.status == 503]
    assert all(login.retry_after and login.retry_after >= 1 for login in refused)
    assert max(login.duration_s for login in refused) < ANSWERED_WITHIN_S


def test_rejected_logins_are_counted(weathered: Storm, unlimited: httpx.Client):
    refused = [login for login in weathered.logins if login.status == 503]
    assert read_metric(unlimited, "todo_bcrypt_refusals_total") == len(refused) + 1  # and the late sign-up
    assert read_metric(unlimited, "todo_bcrypt_running") == read_metric(unlimited, "todo_bcrypt_waiting") == 0


def test_other_requests_succeed_during_the_storm(weathered: Storm):
    assert {answer.status_code for answer in weathered.meanwhile} == {200}
    assert max(answer.elapsed.total_seconds() for answer in weathered.meanwhile) < ANSWERED_WITHIN_S


def test_signup_waits_in_the_same_queue(weathered: Storm):
    assert weathered.late_signup.status_code == 503


def test_after_the_storm_signup_and_login_succeed(weathered: Storm, unlimited: httpx.Client):
    assert [send(unlimited, what, LATE).status_code for what in ("signup", "login")] == [201, 200]


def test_clients_that_disconnect_leave_the_queue(unlimited: httpx.Client, is_long: bool):
    if not is_long:
        pytest.skip("takes a second storm: --long")
    _, email = signed_in(unlimited)
    body = b'{"email":"nobody@example.com","password":"another password"}'
    head = "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        wires = [stack.enter_context(connect(str(unlimited.base_url))) for _ in range(AT_ONCE)]
        for wire in wires:
            wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        [first, *_], _, _ = select.select(wires, [], [], 10)
        assert read_response(first).status == 503  # at once, while the others wait
    assert eventually(lambda: send(unlimited, "login", email).status_code == 200, within_s=10)


def test_storm_from_one_address_is_rejected_and_others_log_in(new_database: Callable[[], str], folder: Path):
    """On a server as it comes, behind a proxy."""
    settings = {"DATABASE_URL": new_database(), "TRUSTED_PROXIES": "127.0.0.1"}
    with (
        run_server(folder, RATE_LIMIT="on", **settings) as server,
        open_client(server.url, timeout=60) as http,
    ):
        _, email = signed_in(http)
        is_refused = threading.Event()
        with storm(http, 200, 16) as under_way:
            for login in under_way:
                login.add_done_callback(lambda done: done.result().status == 429 and is_refused.set())
            assert is_refused.wait(timeout=10)
            assert send(http, "login", email).status_code == 200
    logins = [login.result() for login in under_way]
    assert {login.status for login in logins} == {401, 429}
    assert sum(login.status == 401 for login in logins) <= 10
    assert max(login.duration_s for login in logins if login.status == 429) < ANSWERED_WITHIN_S


def test_storm_from_one_ipv6_network_leaves_places_for_others(new_database: Callable[[], str], folder: Path):
    settings = {"DATABASE_URL": new_database(), "TRUSTED_PROXIES": "127.0.0.1", "RATE_LIMIT": "on"}
    with run_server(folder, **settings) as server, open_client(server.url, timeout=60, limits=MANY) as http:
        _, email = signed_in(http)
        is_full = threading.Event()
        with storm(http, 2 * AT_ONCE, AT_ONCE, address=lambda n: f"2001:db8:0:{n:x}::1") as under_way:
            for login in under_way:
                login.add_done_callback(lambda done: done.result().status in {429, 503} and is_full.set())
            assert is_full.wait(timeout=10)
            assert send(http, "login", email).status_code == 200
    assert {login.result().status for login in under_way} <= {401, 429, 503}
