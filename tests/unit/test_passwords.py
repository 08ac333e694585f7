"""Passwords: which ones may be chosen, and how bcrypt is used."""

import asyncio
from collections.abc import Iterator

import pytest

from contract.problems import Unavailable, WeakPassword
from security import passwords
from security.passwords import Passwords

PASSWORD = "three green parrots"


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passwords]:
    """Passwords with the cheapest rounds of bcrypt: 1 ms instead of 235."""
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    hasher = Passwords()
    hasher.prepare()
    yield hasher
    hasher.close()


async def is_right(hasher: Passwords, password: str, password_hash: str | None) -> bool:
    return await hasher.matches(password, password_hash, network="")


def test_hash_costs_12_rounds_of_bcrypt():
    hasher = Passwords()
    assert asyncio.run(hasher.hash(PASSWORD)).startswith("$2b$12$")
    hasher.close()


@pytest.mark.parametrize(
    "password", ["é" * 37, "x" * 73, "🦜" * 19, "sunshine", "SUNSHINE", "iLoveYou", "12345678"]
)
def test_password_that_is_common_or_longer_than_bcrypt_reads_is_weak(hasher: Passwords, password: str):
    with pytest.raises(WeakPassword) as raised:
        asyncio.run(hasher.hash(password))
    assert password not in raised.value.detail


@pytest.mark.parametrize("password", ["aß3$éø!7", "é" * 36, "x" * 72, "sunshine!7"])
def test_other_password_is_accepted_and_checked_as_a_whole(hasher: Passwords, password: str):
    async def check() -> list[bool]:
        password_hash = await hasher.hash(password)
        others = (password, password[:-1], password + "x", password.swapcase(), "")
        return [await is_right(hasher, other, password_hash) for other in others]

    assert asyncio.run(check()) == [True, False, False, False, False]


def test_equal_passwords_have_different_hashes(hasher: Passwords):
    async def hash_twice() -> set[str]:
        return {await hasher.hash(PASSWORD), await hasher.hash(PASSWORD)}

    assert len(asyncio.run(hash_twice())) == 2


def test_missing_account_matches_nothing_and_costs_one_bcrypt(
    hasher: Passwords, monkeypatch: pytest.MonkeyPatch
):
    hasher._no_account.result()
    check, checked = passwords.bcrypt.checkpw, []
    monkeypatch.setattr(passwords.bcrypt, "checkpw", lambda *pair: checked.append(pair) or check(*pair))
    assert asyncio.run(is_right(hasher, PASSWORD, None)) is False
    assert len(checked) == 1


def test_no_password_matches_a_missing_account(monkeypatch: pytest.MonkeyPatch):
    """Not even the random one that stands in for the account's."""
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    monkeypatch.setattr(passwords.os, "urandom", bytes)
    hasher = Passwords()
    hasher.prepare()
    assert asyncio.run(is_right(hasher, bytes(16).hex(), None)) is False
    hasher.close()


def test_queue_is_bounded_and_drains(hasher: Passwords, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    accepted = 3 + passwords.THREADS

    async def hash_at_once() -> list[str | BaseException]:
        work = (hasher.hash(PASSWORD) for _ in range(accepted + 5))
        return await asyncio.gather(*work, return_exceptions=True)

    for _ in range(2):
        rejected = [found for found in asyncio.run(hash_at_once()) if not isinstance(found, str)]
        assert [type(problem) for problem in rejected] == [Unavailable] * 5
        assert rejected[0].headers == {"Retry-After": "5"}  # type: ignore[union-attr]


def test_one_network_gets_a_share_of_the_queue(hasher: Passwords, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "MAX_SHARE", 2)

    async def hash_at_once() -> list[str | BaseException]:
        networks = ["storm"] * 4 + ["other"]
        work = (hasher.hash(PASSWORD, network=network) for network in networks)
        return await asyncio.gather(*work, return_exceptions=True)

    for _ in range(2):
        found = asyncio.run(hash_at_once())
        assert [isinstance(each, str) for each in found] == [True, True, False, False, True]
    assert not hasher._by_network


def test_cancelled_request_leaves_the_queue(hasher: Passwords):
    async def cancel_one() -> None:
        hashing = asyncio.create_task(hasher.hash(PASSWORD))
        await asyncio.sleep(0)
        assert hasher._unfinished == 1
        hashing.cancel()
        await asyncio.wait({hashing})

    asyncio.run(cancel_one())
    assert hasher._unfinished == 0
