"""The limits of logging in and signing up, for each address and for each account, counted in memory."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.rate_limits import (
    answers_at_once,
    asked,
    asked_at_once,
    check_refusal,
    first_refusal,
    is_refused,
)
from tests.support.raw_http import connect, read_response
from tests.support.server import Server, run_server

LOGIN, SIGNUP = "/api/auth/login", "/api/auth/signup"
LOGINS, SIGNUPS = 2, 3  # an hour
COUNTS = {LOGIN: LOGINS, SIGNUP: SIGNUPS}
NAMES = {LOGIN: "login", SIGNUP: "signup"}
PASSWORD = "three green parrots"
MALFORMED: list[tuple[str, bytes, int]] = [
    ("application/json", b"{", 400),
    ("application/json", b"", 400),
    ("text/plain", b"canary", 415),
    ("application/json", b" " * 70_000, 413),
]
_numbers = itertools.count(1)


def new_address() -> str:
    """One that nobody has come from yet."""
    high, low = divmod(next(_numbers), 256)
    return f"198.18.{high}.{low}"


def new_email() -> str:
    return f"grace-{next(_numbers)}@example.com"


def fumble(
    http: httpx.Client,
    address: str,
    path: str = LOGIN,
    media_type: str = "application/json",
    body: bytes = b"{",
) -> httpx.Response:
    """A request that cannot be read, from that address: what costs least and counts as any."""
    return http.post(path, content=body, headers={"Content-Type": media_type, "X-Forwarded-For": address})


def send(
    http: httpx.Client, email: str, password: str = PASSWORD, *, path: str = LOGIN, address: str | None = None
) -> httpx.Response:
    """By default from an address of its own."""
    headers = {"X-Forwarded-For": address or new_address()}
    return http.post(path, json={"email": email, "password": password}, headers=headers)


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy, which is these tests: they say which address a request comes from."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    limits = {"RATE_LIMIT_LOGIN": f"{LOGINS}/hour", "RATE_LIMIT_SIGNUP": f"{SIGNUPS}/hour"}
    with run_server(
        folder, DATABASE_URL=f"sqlite:///{file}", TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT="on", **limits
    ) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with open_client(server.url) as client:
        yield client


@pytest.fixture
def account(http: httpx.Client) -> str:
    """The email of an account that nobody has logged in to."""
    email = new_email()
    assert send(http, email, path=SIGNUP).status_code == 201
    return email


@pytest.mark.parametrize("path", COUNTS)
def test_address_is_refused_after_so_many(http: httpx.Client, path: str):
    address = new_address()
    assert asked(lambda: fumble(http, address, path), COUNTS[path]) == [400] * COUNTS[path]
    check_refusal(fumble(http, address, path), NAMES[path], COUNTS[path], 3600)
    assert send(http, new_email(), path=path, address=address).status_code == 429
    assert fumble(http, new_address(), path).status_code == 400


@pytest.mark.parametrize("malformed", MALFORMED, ids=["not JSON", "empty", "media type", "size"])
def test_every_malformed_login_counts_and_is_refused(http: httpx.Client, malformed: tuple[str, bytes, int]):
    address = new_address()
    media_type, body, status = malformed
    statuses = asked(lambda: fumble(http, address, LOGIN, media_type, body), LOGINS + 1)
    assert statuses == [status] * LOGINS + [429]


@pytest.mark.parametrize("path", COUNTS)
def test_address_is_refused_before_the_body_has_come(http: httpx.Client, server: Server, path: str):
    address = new_address()
    first_refusal(lambda: fumble(http, address, path))
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"X-Forwarded-For: {address}"]
    head += ["Content-Type: application/json", "Content-Length: 100", "", ""]
    with connect(server.url, timeout_s=5) as wire:
        wire.sendall("\r\n".join(head).encode())
        assert read_response(wire).status == 429


def test_logging_in_and_signing_up_are_counted_apart(http: httpx.Client):
    address = new_address()
    first_refusal(lambda: fumble(http, address, LOGIN))
    assert fumble(http, address, SIGNUP).status_code == 400


def test_refused_signup_makes_no_account(http: httpx.Client, server: Server):
    address, email = new_address(), new_email()
    first_refusal(lambda: fumble(http, address, SIGNUP))
    assert send(http, email, path=SIGNUP, address=address).status_code == 429
    with server.database() as connection:
        rows = connection.execute(text("SELECT count(*) FROM users WHERE email = :email"), {"email": email})
        assert rows.scalar() == 0


def test_account_is_refused_after_so_many_from_anywhere_in_any_case(http: httpx.Client, account: str):
    for email in (account.upper(), account.capitalize()):
        assert send(http, email, "another password").status_code == 401
    check_refusal(send(http, account), "login", LOGINS, 3600)
    check_refusal(send(http, account.title()), "login", LOGINS, 3600)


def test_logins_that_succeed_count_too(http: httpx.Client, account: str):
    assert [send(http, account).status_code for _ in range(LOGINS + 1)] == [200] * LOGINS + [429]


def test_refused_account_leaves_others_alone(http: httpx.Client, account: str):
    spent = new_email()
    first_refusal(lambda: send(http, spent))
    assert send(http, account).status_code == 200


def test_unknown_email_is_refused_as_an_account_is(http: httpx.Client, account: str):
    def seen(email: str) -> tuple[Any, ...]:
        statuses = [send(http, email, "another password").status_code for _ in range(LOGINS)]
        answer = send(http, email)
        changing = {"x-request-id", "date", "retry-after", "ratelimit", "content-length"}
        headers = {name: value for name, value in answer.headers.items() if name not in changing}
        return statuses, answer.status_code, headers, answer.json() | {"request_id": ""}

    known = seen(account)
    assert known[:2] == ([401] * LOGINS, 429)
    assert seen(new_email()) == known


def test_address_that_is_refused_uses_up_no_account(http: httpx.Client, account: str):
    address = new_address()
    first_refusal(lambda: fumble(http, address))
    assert {send(http, account, address=address).status_code for _ in range(LOGINS + 1)} == {429}
    assert send(http, account).status_code == 200


def test_malformed_logins_of_others_use_up_no_account(http: httpx.Client, account: str):
    body = {"email": account, "password": ""}
    for _ in range(LOGINS + 1):
        answer = http.post(LOGIN, json=body, headers={"X-Forwarded-For": new_address()})
        assert answer.status_code == 400
    assert send(http, account).status_code == 200


def test_exactly_so_many_pass_when_all_come_at_once(http: httpx.Client, is_long: bool):
    for _ in range(50 if is_long else 3):
        address = new_address()
        statuses = asked_at_once([lambda address=address: fumble(http, address)] * 40)
        assert sorted(statuses) == [400] * LOGINS + [429] * (40 - LOGINS)


def test_preflights_do_not_count(http: httpx.Client):
    address = new_address()
    asks = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    headers = asks | {"X-Forwarded-For": address}
    assert asked(lambda: http.options(LOGIN, headers=headers), 2 * LOGINS) == [200] * 2 * LOGINS
    assert asked(lambda: fumble(http, address), LOGINS) == [400] * LOGINS


def test_keys_are_never_limited(http: httpx.Client):
    headers = {"X-Forwarded-For": new_address()}
    assert set(asked(lambda: http.get("/api/auth/jwks", headers=headers), 20)) == {200}


BRIEF = 3  # in two seconds


@pytest.fixture(scope="module")
def brief(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that forgets soon."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    limits = {f"RATE_LIMIT_{name.upper()}": f"{BRIEF}/2 seconds" for name in NAMES.values()}
    settings = limits | {"DATABASE_URL": f"sqlite:///{file}", "TRUSTED_PROXIES": "127.0.0.1"}
    with run_server(folder, RATE_LIMIT="on", **settings) as server, open_client(server.url) as client:
        yield client


def test_address_may_come_back_after_the_time_it_is_told(brief: httpx.Client):
    address = new_address()
    asks = {path: lambda path=path: fumble(brief, address, path) for path in COUNTS}
    refusals = {path: first_refusal(ask) for path, ask in asks.items()}
    for path, refusal in refusals.items():
        check_refusal(refusal, NAMES[path], BRIEF, 2)
    time.sleep(max(int(refusal.headers["retry-after"]) for refusal in refusals.values()))
    assert [ask().status_code for ask in asks.values()] == [400, 400]


def test_account_may_be_logged_in_to_after_the_time_it_is_told(brief: httpx.Client):
    email = new_email()
    assert send(brief, email, path=SIGNUP).status_code == 201
    answers = answers_at_once([lambda: send(brief, email, "another password")] * (BRIEF + 1))
    refusal = next(filter(is_refused, answers))
    check_refusal(refusal, "login", BRIEF, 2)
    time.sleep(int(refusal.headers["retry-after"]))
    assert send(brief, email).status_code == 200
