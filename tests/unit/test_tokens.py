"""Verified tokens are remembered for a moment: never past their end, their key, or the room there is."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from contract.problems import InvalidToken
from security import tokens
from security.tokens import Verifier
from tests.support.token_issuers import issuer, minted, public_jwk

ALGORITHMS = frozenset({"EdDSA"})


class Keys:
    """What an issuer publishes, as it is at the moment."""

    def __init__(self) -> None:
        self.publish("EdDSA")

    def publish(self, *kids: str) -> None:
        self.known = {kid: jwt.PyJWK(public_jwk(kid), "EdDSA") for kid in kids}

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        return self.known.get(kid or "")


class Clock:
    """Unix time, and what a test adds to it."""

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
    return Verifier(algorithms=ALGORITHMS, find_key=keys.find, clock=clock)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that PyJWT has verified."""
    seen: list[str] = []
    decode = jwt.decode

    def watched(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(tokens.jwt, "decode", watched)
    return seen


def verify(verifier: Verifier, token: str) -> dict[str, Any]:
    return asyncio.run(verifier.verify(token))


def test_token_is_verified_once_in_30_seconds(verifier: Verifier, clock: Clock, decoded: list[str]):
    token = minted("EdDSA")
    assert verify(verifier, token) == verify(verifier, token)
    assert decoded == [token]
    clock.ahead_s = 31
    verify(verifier, token)
    assert decoded == [token, token]


def test_remembered_token_is_refused_when_it_is_over(verifier: Verifier, clock: Clock):
    token = minted("EdDSA", exp=time.time() + 5)
    verify(verifier, token)
    clock.ahead_s = 5 + 31
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_token_that_is_over_is_not_remembered_through_the_leeway(verifier: Verifier, decoded: list[str]):
    token = minted("EdDSA", exp=time.time() - 5)
    assert verify(verifier, token) == verify(verifier, token)
    assert len(decoded) == 2


def test_remembered_token_is_refused_when_its_key_is_withdrawn(verifier: Verifier, keys: Keys):
    token = minted("EdDSA")
    verify(verifier, token)
    keys.publish("EdDSA-2")
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_remembered_token_is_verified_anew_when_its_key_has_changed(verifier: Verifier, keys: Keys):
    token = minted("EdDSA")
    verify(verifier, token)
    keys.known = {"EdDSA": jwt.PyJWK(public_jwk("EdDSA-2"), "EdDSA")}
    with pytest.raises(InvalidToken):
        verify(verifier, token)


def test_token_that_differs_in_its_signature_alone_is_another(verifier: Verifier):
    token, other = minted("EdDSA"), issuer("EdDSA").token(name="Bob")
    verify(verifier, token)
    with pytest.raises(InvalidToken):
        verify(verifier, token.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_refused_token_is_not_remembered(verifier: Verifier, decoded: list[str]):
    token = minted("EdDSA-2")
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verify(verifier, token.replace("EdDSA-2", "EdDSA"))
    assert verifier._remembered == {}


def test_only_so_many_are_remembered(verifier: Verifier, decoded: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 2)
    first, second, third = (minted("EdDSA", number=number) for number in range(3))
    for token in (first, second, third, third, second, first):
        verify(verifier, token)
    assert decoded == [first, second, third, first]
