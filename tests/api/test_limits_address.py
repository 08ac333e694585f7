"""Which address a request is counted by: the peer's, or the one that a trusted proxy names."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.contract_checks import open_client
from tests.support.rate_limits import asked, check_refusal
from tests.support.server import run_server

COUNT = 3
LOGIN, SIGNUP = "/api/auth/login", "/api/auth/signup"


def fumble(http: httpx.Client, *forwarded_for: str | bytes, path: str = LOGIN) -> httpx.Response:
    """A request that cannot be read, and counts all the same; with so many X-Forwarded-For headers."""
    headers = [("X-Forwarded-For", address) for address in forwarded_for]
    return http.post(path, content=b"{", headers=[("Content-Type", "application/json"), *headers])


@pytest.fixture(scope="module")
def proxied(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client that the server takes for its proxy."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    settings = {"DATABASE_URL": f"sqlite:///{file}", "TRUSTED_PROXIES": "127.0.0.1"}
    limit = {"RATE_LIMIT": "on", "RATE_LIMIT_LOGIN": f"{COUNT}/hour"}
    with run_server(folder, **settings, **limit) as server, open_client(server.url) as client:
        yield client


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["2001:db8:0:1::1"], ["2001:db8:0:1:ffff:ffff:ffff:ffff"]),
        (["2001:db8:0:2::1"], ["2001:0DB8:0000:0002:0000:0000:0000:0001"]),
        (["::ffff:192.0.2.1"], ["192.0.2.1"]),
        (["::ffff:c000:202"], ["192.0.2.2"]),
        (["192.0.2.3"], ["203.0.113.1, 192.0.2.3"]),
        (["192.0.2.4"], ["203.0.113.2", "192.0.2.4"]),
        (["192.0.2.5"], ["203.0.113.3 ,\t192.0.2.5"]),
        (["192.0.2.6"], ["192.0.2.6, 127.0.0.1"]),
    ],
    ids=["/64", "IPv6 spelt out", "mapped", "mapped, in hexadecimal", "said before the proxy's own word",
         "said in a header before the proxy's own", "spaces", "the proxy named too"],
)  # fmt: skip
def test_counts_as_the_same_address(proxied: httpx.Client, one: list[str], other: list[str]):
    assert asked(lambda: fumble(proxied, *one), COUNT) == [400] * COUNT
    assert fumble(proxied, *other).status_code == 429


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:1::1", "2001:db8:1:2::1"),
        ("198.51.100.1", "198.51.100.2"),
        ("::ffff:198.51.100.3", "::ffff:198.51.100.4"),
        ("::1", "127.0.0.2"),
        ("198.51.100.5, 198.51.100.6", "198.51.100.5, 198.51.100.7"),
    ],
)
def test_counts_as_another_address(proxied: httpx.Client, one: str, other: str):
    assert asked(lambda: fumble(proxied, one), COUNT + 1) == [400] * COUNT + [429]
    assert fumble(proxied, other).status_code == 400


@pytest.mark.parametrize(
    "odd",
    ["unknown", "_hidden", "fe80::1%eth0", "192.0.2.77:4711", "[2001:db8:7::1]:4711", "300.1.2.3",
     "192.0.2.078", ",,", "x" * 4000, "192.0.2.78/24", "'; DROP TABLE users", "é"],
)  # fmt: skip
def test_odd_address_is_limited_and_no_failure(proxied: httpx.Client, odd: str):
    assert asked(lambda: fumble(proxied, odd.encode()), COUNT + 1)[-1] == 429
    assert fumble(proxied, f"198.51.100.{next(_last_bytes)}").status_code == 400


_last_bytes = itertools.count(100)


def test_without_a_proxy_nobody_names_their_own_address(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "RATE_LIMIT": "on"}
    with run_server(folder, **settings) as server, open_client(server.url) as http:
        for path, count, window_s in ((LOGIN, 10, 60), (SIGNUP, 20, 3600)):
            addresses = [f"192.0.2.{number}" for number in range(count + 1)]
            *first, last = [fumble(http, address, path=path) for address in addresses]
            assert {answer.status_code for answer in first} == {400}
            check_refusal(last, path.rpartition("/")[2], count, window_s)
