"""The keys of an outside issuer: fetched from a real server on loopback, with a clock that the test sets."""

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from contract.problems import Unavailable
from security.keys import KeySet
from tests.support.token_issuers import KeySetServer, public_jwk

pytestmark = pytest.mark.anyio

OLD, NEW = "EdDSA-old", "EdDSA-new"
HOUR = 3600


class Clock:
    """Seconds since some moment. A test sets them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def publisher() -> KeySetServer:
    return KeySetServer(public_jwk(OLD))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(publisher: KeySetServer, clock: Clock) -> Iterator[KeySet]:
    with publisher.serving() as url:
        yield KeySet(url, clock=clock)


async def find_at(keys: KeySet, clock: Clock, second: float, kid: str) -> Any:
    clock.seconds = second
    return await keys.find(kid)


def is_fetching(keys: KeySet) -> bool:
    return keys._fetching is not None and not keys._fetching.done()


async def finish_fetch(keys: KeySet) -> None:
    """Wait for a fetch that no request waits for."""
    assert keys._fetching is not None
    await asyncio.wait({keys._fetching})


async def test_one_fetch_serves_all_requests_that_wait(keys: KeySet, publisher: KeySetServer):
    found = await asyncio.gather(*(keys.find(OLD) for _ in range(100)))
    assert None not in found
    assert publisher.request_count == 1


async def test_missing_kid_fetches_nothing(keys: KeySet, publisher: KeySetServer):
    assert await keys.find(None) is None
    assert publisher.request_count == 0


async def test_new_key_is_found_2_seconds_after_the_last_fetch(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.publish(public_jwk(NEW), public_jwk(OLD))
    assert await find_at(keys, clock, 1.9, NEW) is None
    assert await find_at(keys, clock, 2, NEW)
    assert await keys.find(OLD)


async def test_fetch_for_an_unknown_kid_withdraws_the_keys_that_are_no_longer_published(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.publish(public_jwk(NEW))
    assert await find_at(keys, clock, 2, NEW)
    assert await keys.find(OLD) is None


async def test_unknown_kids_cause_one_fetch_every_2_seconds(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    for number in range(1000):
        assert await find_at(keys, clock, number / 100, f"unknown-{number}") is None
    assert publisher.request_count == 5  # at 0, 2, 4, 6 and 8 s


async def test_unknown_kids_are_not_stored(keys: KeySet):
    for number in range(100):
        await keys.find(f"unknown-{number}")
    assert keys._keys.keys() == {OLD}


async def test_failed_fetches_back_off_to_30_seconds(keys: KeySet, publisher: KeySetServer, clock: Clock):
    publisher.status = 500
    fetched_at = []

    for second in range(121):
        before = publisher.request_count
        with pytest.raises(Unavailable) as raised:
            await find_at(keys, clock, second, OLD)
        assert 1 <= int(raised.value.headers["Retry-After"]) <= 30
        if publisher.request_count > before:
            fetched_at.append(second)
    assert fetched_at == [0, 2, 6, 14, 30, 60, 90, 120]


def fetches(outcome: str) -> float:
    return REGISTRY.get_sample_value("todo_key_fetches_total", {"outcome": outcome}) or 0


async def test_fetches_are_counted_by_outcome(keys: KeySet, publisher: KeySetServer, clock: Clock):
    before, began = (fetches("success"), fetches("failure")), time.time()

    publisher.status = 500
    for second in (0, 2):
        with pytest.raises(Unavailable):
            await find_at(keys, clock, second, OLD)
    publisher.status = 200
    assert await find_at(keys, clock, 6, OLD)
    assert (fetches("success"), fetches("failure")) == (before[0] + 1, before[1] + 2)
    fetched_at = REGISTRY.get_sample_value("todo_keys_fetched_timestamp_seconds")
    assert fetched_at is not None
    assert began <= fetched_at <= time.time()


async def test_successful_fetch_ends_the_backoff(keys: KeySet, publisher: KeySetServer, clock: Clock):
    publisher.status = 500
    for second in (0, 2, 6, 14):
        with pytest.raises(Unavailable):
            await find_at(keys, clock, second, OLD)
    publisher.status = 200
    assert await find_at(keys, clock, 30, OLD)
    assert await find_at(keys, clock, 32, NEW) is None
    assert publisher.request_count == 6


async def test_known_key_is_refreshed_in_the_background(keys: KeySet, publisher: KeySetServer, clock: Clock):
    await keys.find(OLD)
    publisher.publish(public_jwk(NEW))
    with publisher.hanging():
        assert await find_at(keys, clock, 151, OLD)
        assert is_fetching(keys), "the request waited for the fetch"
    await finish_fetch(keys)
    assert await keys.find(OLD) is None


async def test_key_is_not_refreshed_within_150_seconds(keys: KeySet, publisher: KeySetServer, clock: Clock):
    await keys.find(OLD)
    assert await find_at(keys, clock, 150, OLD)
    assert not is_fetching(keys)
    assert publisher.request_count == 1


async def test_withdrawn_key_is_unknown_after_5_minutes_without_requests(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.publish(public_jwk(NEW))
    assert await find_at(keys, clock, 301, OLD) is None


async def test_withdrawn_key_is_unknown_5_minutes_after_a_failed_fetch(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.status = 500
    assert await find_at(keys, clock, 200, OLD)
    await finish_fetch(keys)
    publisher.status = 200
    publisher.publish(public_jwk(NEW))
    assert await find_at(keys, clock, 501, OLD) is None


@pytest.mark.parametrize("published", [[], [NEW]], ids=["no key", "another key"])
async def test_withdrawn_key_is_unknown_after_a_time_without_requests(
    keys: KeySet, publisher: KeySetServer, clock: Clock, published: list[str]
):
    await keys.find(OLD)
    publisher.publish(*map(public_jwk, published))
    assert await find_at(keys, clock, 8 * HOUR, OLD) is None


async def test_known_keys_are_used_for_a_day_while_the_issuer_is_unavailable(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.status = 500
    for second in range(HOUR, 24 * HOUR, HOUR):
        assert await find_at(keys, clock, second, OLD)
        await finish_fetch(keys)
    with pytest.raises(Unavailable):
        await find_at(keys, clock, 24 * HOUR + 1, OLD)


async def test_issuer_that_hangs_after_an_outage_delays_no_known_key(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.status = 500
    await find_at(keys, clock, HOUR, OLD)
    with publisher.hanging():
        assert await find_at(keys, clock, HOUR + 60, OLD)
        assert is_fetching(keys), "the request waited for the fetch"
    await finish_fetch(keys)


async def test_unknown_kid_during_an_outage_is_unavailable_and_not_invalid(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    await keys.find(OLD)
    publisher.status = 500
    with pytest.raises(Unavailable):
        await find_at(keys, clock, 10, NEW)


async def test_fetch_of_an_endless_response_is_ended(keys: KeySet, publisher: KeySetServer):
    with publisher.hanging(), pytest.raises(Unavailable):
        await keys.find(OLD)


async def test_cancelled_request_does_not_cancel_the_fetch_of_others(keys: KeySet, publisher: KeySetServer):
    with publisher.hanging():
        first = asyncio.create_task(keys.find(OLD))
        second = asyncio.create_task(keys.find(OLD))
        await asyncio.sleep(0.05)
        first.cancel()
    assert await second
    assert publisher.request_count == 1


SET = json.dumps({"keys": [public_jwk(NEW)]}).encode()
UNUSABLE: dict[str, dict[str, Any]] = {
    "a redirect": {"status": 302, "headers": {"Location": "/moved"}, "body": b""},
    "a page": {"body": b"<!doctype html><title>Sign in</title>"},
    "an empty body": {"body": b""},
    "an error with a key set": {"status": 503, "body": SET},
    "a list": {"body": b"[" + SET + b"]"},
    "keys that are no list": {"body": b'{"keys": {}}'},
    "duplicate members": {"body": b'{"keys": [], ' + SET[1:]},
    "half of a key set": {"body": SET[:-9]},
    "another encoding": {"body": SET.decode().encode("utf-16")},
    "compressed": {"body": gzip.compress(SET), "headers": {"Content-Encoding": "gzip"}},
    "deep nesting": {"body": b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
    "more than 256 KiB": {"body": SET + b" " * 256 * 1024},
}


@pytest.mark.parametrize("response", UNUSABLE.values(), ids=UNUSABLE)
async def test_response_without_a_key_set_leaves_the_known_keys(
    keys: KeySet, publisher: KeySetServer, clock: Clock, response: dict[str, Any]
):
    await keys.find(OLD)
    vars(publisher).update(response)
    assert await find_at(keys, clock, HOUR, OLD)
    with pytest.raises(Unavailable):
        await keys.find(NEW)
    assert publisher.request_count == 2


async def test_key_set_of_256_kib_is_read(keys: KeySet, publisher: KeySetServer):
    publisher.body += b" " * (256 * 1024 - len(publisher.body))
    assert await keys.find(OLD)


async def test_proxy_of_the_environment_is_not_used(publisher: KeySetServer, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with publisher.serving() as url:
        assert await KeySet(url).find(OLD)
