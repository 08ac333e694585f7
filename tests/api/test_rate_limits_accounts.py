"""The rate limits of login and sign-up, by address and by account, behind a trusted proxy."""

import itertools
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.rate_limits import THREADS, check_rejection, send_at_once, send_times, send_until_rejected
from tests.support.raw_http import connect, read_response
from tests.support.server import Server, run_server
from tests.support.users import User

LOGIN, SIGNUP = "/api/auth/login", "/api/auth/signup"
LOGINS, SIGNUPS, REQUESTS = 2, 3, 3  # an hour; the requests in two seconds
COUNTS = {LOGIN: LOGINS, SIGNUP: SIGNUPS}
PASSWORD = "three green parrots"
JSON = {"Content-Type": "application/json"}
MALFORMED: list[tuple[str, bytes, int]] = [
    ("application/json", b"{", 400),
    ("application/json", b"", 400),
    ("text/plain", b"canary", 415),
    ("application/json", b" " * 70_000, 413),
]
# X-Forwarded-For headers that name the same address; tests/unit has the table of addresses.
SAME_ADDRESS = [
    (["2001:db8:0:1::1"], ["2001:db8:0:1:ffff:ffff:ffff:ffff"]),  # /64
    (["::ffff:192.0.2.1"], ["192.0.2.1"]),
    (["192.0.2.3"], ["203.0.113.1, 192.0.2.3"]),  # the client's own words are not trusted
    (["192.0.2.4"], ["203.0.113.2", "192.0.2.4"]),
    (["192.0.2.5"], ["203.0.113.3 ,\t192.0.2.5"]),
    (["192.0.2.6"], ["192.0.2.6, 127.0.0.1"]),
]
OTHER_ADDRESS = [
    ("2001:db8:1:1::1", "2001:db8:1:2::1"),
    ("198.51.100.5, 198.51.100.6", "198.51.100.5, 198.51.100.7"),
]
ODD_ADDRESSES: list[str | bytes] = ["unknown", "192.0.2.77:4711", "é".encode(), "x" * 4000]
_numbers = itertools.count(1)


def new_address() -> str:
    """Return an address that no request has come from."""
    high, low = divmod(next(_numbers), 256)
    return f"198.18.{high}.{low}"


def new_email() -> str:
    return f"grace-{next(_numbers)}@example.com"


def send_malformed(
    http: httpx.Client, *addresses: str | bytes, path: str = LOGIN, body: bytes = b"{", media_type: str = ""
) -> httpx.Response:
    """Send a request that is rejected before a password is hashed, and counts."""
    forwarded = [("X-Forwarded-For", address) for address in addresses]
    headers: Any = [("Content-Type", media_type or "application/json"), *forwarded]
    return http.post(path, content=body, headers=headers)


def log_in(
    http: httpx.Client, email: str, password: str = PASSWORD, *, path: str = LOGIN, address: str = ""
) -> httpx.Response:
    """Log in, or sign up, from a new address unless one is given."""
    headers = {"X-Forwarded-For": address or new_address()}
    return http.post(path, json={"email": email, "password": password}, headers=headers)


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy: the tests say which address a request comes from."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    limits = {
        "RATE_LIMIT": "on",
        "RATE_LIMIT_LOGIN": f"{LOGINS}/hour",
        "RATE_LIMIT_SIGNUP": f"{SIGNUPS}/hour",
        "RATE_LIMIT_API": f"{REQUESTS}/2 seconds",
    }
    with run_server(
        folder, DATABASE_URL=f"sqlite:///{file}", TRUSTED_PROXIES="127.0.0.1", **limits
    ) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with open_client(server.url) as client:
        yield client


@pytest.fixture
def account(server: Server) -> str:
    """The email, and id, of a new account. Its hash has the least cost, so that logging in takes no time."""
    email = new_email()
    values = {"email": email, "hash": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}
    insert = "INSERT INTO users VALUES (:email, :email, :hash, '2026-01-01 00:00:00.000000')"
    with server.database() as database:
        database.execute(text(insert), values)
    return email


def test_networks_of_an_ipv6_customer_have_a_multiple_of_the_limit(http: httpx.Client):
    in_56 = [send_malformed(http, f"2001:db8:aa:{number:x}::1").status_code for number in range(9)]
    assert in_56 == [400] * 4 * LOGINS + [429]
    in_48 = [send_malformed(http, f"2001:db8:aa:{number:x}00::1").status_code for number in range(1, 26)]
    assert in_48 == [400] * 12 * LOGINS + [429]
    assert send_malformed(http, "2001:db8:ab::1").status_code == 400


@pytest.mark.parametrize("path", COUNTS)
def test_address_is_rejected_after_so_many_requests(http: httpx.Client, path: str):
    address, name = new_address(), path.rpartition("/")[2]
    statuses = send_times(lambda: send_malformed(http, address, path=path), COUNTS[path])
    assert statuses == [400] * COUNTS[path]
    check_rejection(send_malformed(http, address, path=path), name, COUNTS[path], 3600)
    assert log_in(http, new_email(), path=path, address=address).status_code == 429
    assert send_malformed(http, new_address(), path=path).status_code == 400
    assert send_malformed(http, address, path=SIGNUP if path == LOGIN else LOGIN).status_code == 400


def test_every_malformed_login_counts_and_is_rejected(http: httpx.Client):
    for media_type, body, status in MALFORMED:
        send = partial(send_malformed, http, new_address(), body=body, media_type=media_type)
        assert send_times(send, LOGINS + 1) == [status] * LOGINS + [429]


@pytest.mark.parametrize("path", COUNTS)
def test_address_is_rejected_before_the_body_arrives(http: httpx.Client, server: Server, path: str):
    address = new_address()
    send_until_rejected(lambda: send_malformed(http, address, path=path))
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"X-Forwarded-For: {address}"]
    head += ["Content-Type: application/json", "Content-Length: 100", "", ""]
    with connect(server.url, timeout_s=5) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert read_response(connection).status == 429


def test_rejected_signup_creates_no_account(http: httpx.Client, server: Server):
    address, email = new_address(), new_email()
    send_until_rejected(lambda: send_malformed(http, address, path=SIGNUP))
    assert log_in(http, email, path=SIGNUP, address=address).status_code == 429
    with server.database() as database:
        rows = database.execute(text("SELECT 1 FROM users WHERE email = :email"), {"email": email})
        assert rows.all() == []


def test_account_is_rejected_from_every_address_and_in_every_case(http: httpx.Client, account: str):
    for email in (account.upper(), account.capitalize()):
        assert log_in(http, email, "another password").status_code == 401
    for email in (account, account.title()):
        check_rejection(log_in(http, email), "login", LOGINS, 3600)


def test_logins_that_succeed_count(http: httpx.Client, account: str):
    assert send_times(lambda: log_in(http, account), LOGINS + 1) == [200] * LOGINS + [429]


def test_unknown_email_is_rejected_like_an_account(http: httpx.Client, account: str):
    def seen(email: str) -> tuple[Any, ...]:
        statuses = [log_in(http, email, "another password").status_code for _ in range(LOGINS)]
        response = log_in(http, email)
        changing = {"x-request-id", "date", "retry-after", "ratelimit", "content-length"}
        headers = {name: value for name, value in response.headers.items() if name not in changing}
        return statuses, response.status_code, headers, response.json() | {"request_id": ""}

    unknown = seen(new_email())
    assert unknown[:2] == ([401] * LOGINS, 429)
    assert seen(account) == unknown


def test_rejected_address_and_malformed_logins_do_not_use_the_limit_of_an_account(
    http: httpx.Client, account: str
):
    address = new_address()
    send_until_rejected(lambda: send_malformed(http, address))
    statuses = send_times(lambda: log_in(http, account, address=address), LOGINS + 1)
    assert statuses == [429] * (LOGINS + 1)
    assert send_times(lambda: log_in(http, account, ""), LOGINS + 1) == [400] * (LOGINS + 1)
    assert log_in(http, account).status_code == 200


def test_exactly_so_many_of_concurrent_logins_succeed(http: httpx.Client, is_long: bool):
    for _ in range(50 if is_long else 3):
        address = new_address()
        responses = send_at_once([lambda address=address: send_malformed(http, address)] * 2 * THREADS)
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [400] * LOGINS + [429] * (2 * THREADS - LOGINS)


def test_preflights_and_key_sets_do_not_count(http: httpx.Client):
    address = new_address()
    headers = {"X-Forwarded-For": address}
    preflight = headers | {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    assert send_times(lambda: http.options(LOGIN, headers=preflight), 2 * LOGINS) == [200] * 2 * LOGINS
    assert send_times(lambda: http.get("/api/auth/jwks", headers=headers), 10) == [200] * 10
    assert send_times(lambda: send_malformed(http, address), LOGINS) == [400] * LOGINS


def test_addresses_that_are_the_same_have_one_count(http: httpx.Client):
    for one, other in SAME_ADDRESS:
        assert send_times(lambda: send_malformed(http, *one), LOGINS) == [400] * LOGINS  # noqa: B023
        assert send_malformed(http, *other).status_code == 429, other


def test_addresses_that_differ_have_a_count_each(http: httpx.Client):
    for one, other in OTHER_ADDRESS:
        assert send_times(lambda: send_malformed(http, one), LOGINS + 1) == [400] * LOGINS + [429]  # noqa: B023
        assert send_malformed(http, other).status_code == 400, other


def test_odd_address_is_limited_and_does_not_fail(http: httpx.Client):
    for odd in ODD_ADDRESSES:
        statuses = send_times(lambda: send_malformed(http, odd), LOGINS + 1)  # noqa: B023
        assert set(statuses) <= {400, 429}
        assert statuses[-1] == 429, odd
        assert send_malformed(http, new_address()).status_code == 400


def test_user_has_one_limit_at_every_address_and_may_send_again_after_the_window(
    http: httpx.Client, account: str
):
    session = log_in(http, account).json()
    user = User(http, session["user"]["id"], session["access_token"])

    def send() -> httpx.Response:
        return user.request("GET", headers={"X-Forwarded-For": new_address()})

    rejection = send_until_rejected(send)
    check_rejection(rejection, "api", REQUESTS, 2)
    time.sleep(int(rejection.headers["retry-after"]))
    assert send().status_code == 200
