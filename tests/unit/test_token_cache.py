"""The cache of verified tokens: bounded, and never used past the token's expiry or its key's withdrawal."""

import asyncio
import gc
import time
import tracemalloc
from typing import Any

import jwt
import pytest

from contract.problems import InvalidToken
from security import tokens
from security.tokens import Verifier
from tests.support.token_issuers import minted, new_issuer, public_jwk


class Keys:
    """The keys that an issuer publishes at the moment."""

    def __init__(self) -> None:
        self.publish("EdDSA")

    def publish(self, *kids: str) -> None:
        self.known = {kid: jwt.PyJWK(public_jwk(kid), "EdDSA") for kid in kids}

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        return self.known.get(kid or "")


class Clock:
    """Unix time, plus what a test adds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(keys: Keys, clock: Clock) -> Verifier:
    return Verifier(algorithms=frozenset({"EdDSA"}), find_key=keys.find, clock=clock)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token whose signature PyJWT has verified."""
    seen: list[str] = []
    decode = jwt.decode

    def record(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(tokens.jwt, "decode", record)
    return seen


def verify(verifier: Verifier, token: str) -> str:
    return asyncio.run(verifier.verify(token))


def test_token_is_verified_once_in_30_seconds(verifier: Verifier, clock: Clock, decoded: list[str]):
    token = minted("EdDSA")
    assert verify(verifier, token) == verify(verifier, token)
    assert decoded == [token]
    clock.ahead_s = 31
    verify(verifier, token)
    assert decoded == [token, token]


def test_cached_tokens_belong_to_their_users(verifier: Verifier):
    for sub in ("ada", "bob", "ada", "bob"):
        assert verify(verifier, minted("EdDSA", sub=sub)) == sub


def test_cached_token_is_rejected_after_its_expiry(verifier: Verifier, clock: Clock):
    token = minted("EdDSA", exp=time.time() + 5)
    verify(verifier, token)
    clock.ahead_s = 5 + 31
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_expired_token_is_not_cached_within_the_leeway(verifier: Verifier, decoded: list[str]):
    token = minted("EdDSA", exp=time.time() - 5)
    assert verify(verifier, token) == verify(verifier, token)
    assert len(decoded) == 2


def test_cached_token_is_rejected_when_its_key_is_withdrawn(verifier: Verifier, keys: Keys):
    token = minted("EdDSA")
    verify(verifier, token)
    keys.publish("EdDSA-2")
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_cached_token_is_rejected_when_another_key_has_its_kid(verifier: Verifier, keys: Keys):
    token = minted("EdDSA")
    verify(verifier, token)
    keys.known = {"EdDSA": jwt.PyJWK(public_jwk("EdDSA-2"), "EdDSA")}
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_cached_token_with_another_signature_is_rejected(verifier: Verifier):
    token, other = minted("EdDSA"), new_issuer("EdDSA").token(name="Bob")
    verify(verifier, token)
    with pytest.raises(InvalidToken):
        verify(verifier, token.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_rejected_token_is_not_cached(verifier: Verifier):
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verify(verifier, minted("EdDSA-2").replace("EdDSA-2", "EdDSA"))
    assert verifier._cache == {}


def test_cache_drops_the_oldest_token_when_it_is_full(
    verifier: Verifier, decoded: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tokens, "MAX_CACHED", 2)
    first, second, third = (minted("EdDSA", number=number) for number in range(3))
    for token in (first, second, third, third, second, first):
        verify(verifier, token)
    assert decoded == [first, second, third, first]
    assert len(verifier._cache) == 2


def test_cached_token_takes_at_most_a_kilobyte(verifier: Verifier):
    verify(verifier, minted("EdDSA"))
    tracemalloc.start()
    for number in range(50):
        verify(verifier, minted("EdDSA", sub="a" * 128, number=number, avatar="x" * 11_000))
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(verifier._cache) == 51
    assert size < 50 * 1024
