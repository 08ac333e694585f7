"""The life of an outside issuer's keys: from a real server on loopback, by a clock that tests turn."""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from contract.problems import Unavailable
from security.keys import KeySet
from tests.support.token_issuers import KeySetServer, public_jwk

OLD, NEW = "EdDSA-old", "EdDSA-new"
HOUR = 3600


class Clock:
    """Seconds since some moment; they pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


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


def run(story: Awaitable[Any]) -> Any:
    """Each test is one story, told in one event loop."""

    async def told() -> Any:
        async with asyncio.timeout(20):
            return await story

    return asyncio.run(told())


def is_fetching(keys: KeySet) -> bool:
    return keys._fetching is not None and not keys._fetching.done()


async def settled(keys: KeySet) -> None:
    """Wait for a fetch that goes on behind the requests."""
    assert keys._fetching is not None
    await asyncio.wait({keys._fetching})


def test_fetch_serves_everyone_who_waits_for_it(keys: KeySet, publisher: KeySetServer):
    async def story() -> None:
        found = await asyncio.gather(*(keys.find(OLD) for _ in range(100)))
        assert None not in found

    run(story())
    assert publisher.asked == 1


def test_token_without_a_kid_asks_for_nothing(keys: KeySet, publisher: KeySetServer):
    assert run(keys.find(None)) is None
    assert publisher.asked == 0


def test_new_key_is_found_within_two_seconds_of_the_last_fetch(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    async def story() -> None:
        await keys.find(OLD)
        publisher.publish(public_jwk(NEW), public_jwk(OLD))
        clock.seconds = 1.9
        assert await keys.find(NEW) is None
        clock.seconds = 2
        assert await keys.find(NEW)

    run(story())


def test_flood_of_unknown_kids_is_a_fetch_every_two_seconds(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    async def story() -> None:
        for number in range(1000):
            clock.seconds = number / 100
            assert await keys.find(f"unknown-{number}") is None

    run(story())
    assert publisher.asked == 5  # at 0, 2, 4, 6 and 8 s


def test_fetches_that_fail_are_further_and_further_apart(keys: KeySet, publisher: KeySetServer, clock: Clock):
    publisher.status = 500
    fetched_at = []

    async def story() -> None:
        for second in range(121):
            clock.seconds, before = second, publisher.asked
            with pytest.raises(Unavailable) as raised:
                await keys.find(OLD)
            assert 1 <= int(raised.value.headers["Retry-After"]) <= 30
            if publisher.asked > before:
                fetched_at.append(second)

    run(story())
    assert fetched_at == [0, 2, 6, 14, 30, 60, 90, 120]


def fetches(outcome: str) -> float:
    return REGISTRY.get_sample_value("todo_key_fetches_total", {"outcome": outcome}) or 0


def test_fetches_are_counted_by_outcome(keys: KeySet, publisher: KeySetServer, clock: Clock):
    before, began = (fetches("success"), fetches("failure")), time.time()

    async def story() -> None:
        publisher.status = 500
        for clock.seconds in (0, 2):
            with pytest.raises(Unavailable):
                await keys.find(OLD)
        publisher.status, clock.seconds = 200, 6
        assert await keys.find(OLD)

    run(story())
    assert (fetches("success"), fetches("failure")) == (before[0] + 1, before[1] + 2)
    fetched_at = REGISTRY.get_sample_value("todo_keys_fetched_timestamp_seconds")
    assert fetched_at is not None
    assert began <= fetched_at <= time.time()


def test_success_ends_the_waiting(keys: KeySet, publisher: KeySetServer, clock: Clock):
    async def story() -> None:
        publisher.status = 500
        for clock.seconds in (0, 2, 6, 14):
            with pytest.raises(Unavailable):
                await keys.find(OLD)
        publisher.status = 200
        clock.seconds = 30
        assert await keys.find(OLD)
        clock.seconds = 32
        assert await keys.find(NEW) is None

    run(story())
    assert publisher.asked == 6


def test_known_key_is_refreshed_behind_the_request(keys: KeySet, publisher: KeySetServer, clock: Clock):
    async def story() -> None:
        await keys.find(OLD)
        publisher.publish(public_jwk(NEW))
        clock.seconds = 301
        with publisher.hanging():
            assert await keys.find(OLD)
            assert is_fetching(keys), "the request waited for an issuer that hangs"
        await settled(keys)
        assert await keys.find(OLD) is None

    run(story())


def test_withdrawn_key_does_not_outlive_a_quiet_night(keys: KeySet, publisher: KeySetServer, clock: Clock):
    async def story() -> None:
        await keys.find(OLD)
        publisher.publish(public_jwk(NEW))
        clock.seconds = 8 * HOUR
        assert await keys.find(OLD) is None

    run(story())


def test_set_without_keys_withdraws_all(keys: KeySet, publisher: KeySetServer, clock: Clock):
    async def story() -> None:
        await keys.find(OLD)
        publisher.publish()
        clock.seconds = HOUR
        assert await keys.find(OLD) is None

    run(story())


def test_outage_is_survived_on_known_keys_for_a_day(keys: KeySet, publisher: KeySetServer, clock: Clock):
    async def story() -> None:
        await keys.find(OLD)
        publisher.status = 500
        for clock.seconds in range(HOUR, 24 * HOUR, HOUR):
            assert await keys.find(OLD)
            await settled(keys)
        clock.seconds = 24 * HOUR + 1
        with pytest.raises(Unavailable):
            await keys.find(OLD)

    run(story())


def test_outage_with_an_issuer_that_hangs_slows_nobody_who_has_a_known_key(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    async def story() -> None:
        await keys.find(OLD)
        publisher.status = 500
        clock.seconds = HOUR
        await keys.find(OLD)
        clock.seconds += 60
        with publisher.hanging():
            assert await keys.find(OLD)
            assert is_fetching(keys), "the request waited for an issuer that hangs"
        await settled(keys)

    run(story())


def test_unknown_key_during_an_outage_is_not_called_invalid(
    keys: KeySet, publisher: KeySetServer, clock: Clock
):
    async def story() -> None:
        await keys.find(OLD)
        publisher.status = 500
        clock.seconds = 10
        with pytest.raises(Unavailable):
            await keys.find(NEW)

    run(story())


def test_issuer_that_never_ends_its_answer_is_given_up(keys: KeySet, publisher: KeySetServer):
    async def story() -> None:
        with publisher.hanging(), pytest.raises(Unavailable):
            await keys.find(OLD)

    run(story())


def test_request_that_goes_away_takes_the_fetch_from_nobody(keys: KeySet, publisher: KeySetServer):
    async def story() -> None:
        with publisher.hanging():
            first = asyncio.create_task(keys.find(OLD))
            second = asyncio.create_task(keys.find(OLD))
            await asyncio.sleep(0.05)
            first.cancel()
        assert await second

    run(story())
    assert publisher.asked == 1


SET = json.dumps({"keys": [public_jwk(NEW)]}).encode()
UNUSABLE: dict[str, dict[str, Any]] = {
    "a redirect": {"status": 302, "headers": {"Location": "/moved"}, "body": b""},
    "a page": {"body": b"<!doctype html><title>Sign in</title>"},
    "nothing": {"body": b""},
    "a failure that looks like keys": {"status": 503, "body": SET},
    "a list": {"body": b"[" + SET + b"]"},
    "keys that are no list": {"body": b'{"keys": {}}'},
    "members twice": {"body": b'{"keys": [], ' + SET[1:]},
    "half of it": {"body": SET[:-9]},
    "another encoding": {"body": SET.decode().encode("utf-16")},
    "compressed": {"body": gzip.compress(SET), "headers": {"Content-Encoding": "gzip"}},
    "deep nesting": {"body": b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
    "more than 256 KiB": {"body": SET + b" " * 256 * 1024},
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_no_key_set_leaves_the_known_keys(
    keys: KeySet, publisher: KeySetServer, clock: Clock, answer: dict[str, Any]
):
    async def story() -> None:
        await keys.find(OLD)
        vars(publisher).update(answer)
        clock.seconds = HOUR
        assert await keys.find(OLD)
        with pytest.raises(Unavailable):
            await keys.find(NEW)

    run(story())
    assert publisher.asked == 2


def test_set_of_256_kib_is_read(keys: KeySet, publisher: KeySetServer):
    publisher.body += b" " * (256 * 1024 - len(publisher.body))
    assert run(keys.find(OLD))
