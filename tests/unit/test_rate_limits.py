"""Rate limits: what counts as one address, when a window ends, and that expired counts leave the memory."""

import asyncio
from types import SimpleNamespace

import pytest
from limits import parse

from contract.problems import TooManyRequests
from security import rate_limits
from security.networks import get_networks
from security.rate_limits import MEMORY, RateLimits, Windows

SAME = {
    "one /64": ["2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"],
    "IPv6 in two spellings": ["2001:db8:0:2::1", "2001:0DB8:0000:0002:0000:0000:0000:0001"],
    "IPv4 mapped into IPv6": ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"],
    "an interface": ["fe80::1%eth0", "fe80::1", "fe80::1%eth1"],
}
DIFFERENT = [
    "2001:db8:1:1::1", "2001:db8:1:2::1", "198.51.100.1", "198.51.100.2", "::ffff:198.51.100.3",
    "::ffff:198.51.100.4", "::1", "127.0.0.2",
]  # fmt: skip
ODD = [
    "unknown", "_hidden", "192.0.2.77:4711", "[2001:db8:7::1]:4711", "300.1.2.3", "192.0.2.078", ",,",
    "192.0.2.78/24", "'; DROP TABLE users", "é", "",
]  # fmt: skip


PER_MINUTE = parse("3/minute")


def address_of(host: str) -> str:
    """Return the narrowest network of the client."""
    return get_networks((host, 1234))[0].name


@pytest.mark.parametrize("hosts", SAME.values(), ids=SAME)
def test_spellings_of_one_address_are_one(hosts: list[str]):
    assert len({address_of(host) for host in hosts}) == 1


def test_different_addresses_are_different():
    assert len({address_of(host) for host in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("host", ODD)
def test_text_that_is_no_address_is_an_address_of_its_own(host: str):
    assert address_of(host) == host


def test_ipv6_address_counts_in_three_networks():
    assert get_networks(("2001:db8:12:3456::7", 1)) == [
        ("/64", "2001:db8:12:3456::/64", 1),
        ("/56", "2001:db8:12:3400::/56", 4),
        ("/48", "2001:db8:12::/48", 16),
    ]
    assert (
        get_networks(("192.0.2.1", 1))
        == get_networks(("::ffff:192.0.2.1", 1))
        == [("address", "192.0.2.1", 1)]
    )


def test_address_is_bounded_and_may_be_missing():
    assert address_of("x" * 4000) == "x" * 64
    assert get_networks(None) == [("address", "", 1)]


class Clock:
    """Unix time. A test sets it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=clock, monotonic=clock))
    return clock


@pytest.fixture
def api(clock: Clock) -> RateLimits:
    return RateLimits({"api": "3/minute", "login": "2/2 hours"}, MEMORY)


def hit(api: RateLimits, *key: str, name: str = "api") -> TooManyRequests | None:
    """Count a request, by default one of ada, and return its rejection."""
    try:
        asyncio.run(api.hit(name, *(key or ("user", "ada"))))
    except TooManyRequests as problem:
        return problem
    return None


def test_rejected_request_says_when_to_retry(api: RateLimits, clock: Clock):
    assert [hit(api) for _ in range(3)] == [None] * 3
    clock.now += 20
    rejected = hit(api)
    assert rejected is not None
    assert rejected.headers == {
        "Retry-After": "41",
        "RateLimit": '"api";r=0;t=41',
        "RateLimit-Policy": '"api";q=3;w=60',
    }


@pytest.mark.parametrize("after_s", [0, 0.4, 59.9])
def test_wait_is_between_one_second_and_the_window(api: RateLimits, clock: Clock, after_s: float):
    for _ in range(3):
        hit(api)
    clock.now += after_s
    rejected = hit(api)
    assert rejected is not None
    assert 1 <= int(rejected.headers["Retry-After"]) <= 60


def test_window_opens_with_the_first_request_and_ends_after_its_length(api: RateLimits, clock: Clock):
    clock.now += 59  # not aligned with the minutes of the clock
    assert [hit(api) for _ in range(3)] == [None] * 3
    clock.now += 59
    assert hit(api)
    clock.now += 1
    assert [bool(hit(api)) for _ in range(4)] == [False] * 3 + [True]


@pytest.mark.parametrize("other", [("user", "bob"), ("address", "ada"), ("user", "Ada"), ("user", "ada/x")])
def test_used_up_limit_rejects_no_other_user(api: RateLimits, clock: Clock, other: tuple[str, str]):
    for _ in range(4):
        hit(api)
    assert [bool(hit(api, *other)) for _ in range(4)] == [False] * 3 + [True]
    assert hit(api)


def test_limits_are_counted_separately(api: RateLimits):
    assert [bool(hit(api)) for _ in range(4)] == [False] * 3 + [True]
    assert [bool(hit(api, name="login")) for _ in range(3)] == [False] * 2 + [True]


def test_network_has_a_multiple_of_the_limit(api: RateLimits):
    def hit_network() -> TooManyRequests | None:
        try:
            asyncio.run(api.hit("api", "/56", "2001:db8::/56", times=4))
        except TooManyRequests as problem:
            return problem
        return None

    assert [hit_network() for _ in range(12)] == [None] * 12
    rejected = hit_network()
    assert rejected is not None
    assert rejected.headers["RateLimit-Policy"] == '"api";q=12;w=60'


def test_clock_that_is_set_back_does_not_extend_a_window(
    api: RateLimits, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    wall = Clock()
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=wall, monotonic=clock))
    assert [bool(hit(api)) for _ in range(4)] == [False] * 3 + [True]
    wall.now -= 3600
    clock.now += 60
    assert hit(api) is None


def test_expired_counts_are_removed_from_memory(clock: Clock):
    windows = Windows()
    for minute in range(5):
        for number in range(5000):
            windows.hit(PER_MINUTE, ("api", "address", f"{minute} {number}"))
        clock.now += 60
    assert len(windows._counts) == len(windows._ends) == 5000


def test_removal_of_expired_counts_keeps_the_others(clock: Clock):
    windows = Windows()
    for _ in range(5):
        assert windows.hit(parse("5/hour"), ("ada",)) is None
        assert windows.hit(parse("1/second"), ("bob",)) is None
        clock.now += 60
    assert windows.hit(parse("5/hour"), ("ada",)) is not None
