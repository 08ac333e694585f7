"""Valid bearer tokens, and the attacks: each runs once for every issuer and algorithm that it applies to."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import permutations
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from jwt.algorithms import OKPAlgorithm

from app import create_verifier, utc_now
from contract.problems import InvalidToken
from security.gate import get_bearer_token
from security.issuer import Issuer as BuiltInIssuer
from security.tokens import Verifier
from settings import Settings
from tests.support.token_issuers import (
    ALGORITHMS,
    ORIGIN,
    Issuer,
    KeySetServer,
    new_issuer,
    private_key,
    public_jwk,
)
from tests.unit.token_attacks import BOUND, BY_ALGORITHM, DISGUISES, PUBLISHED
from tests.unit.token_cases import ACCEPTED, REJECTED, Case

ISSUER_SETTINGS = {"jwt_issuer": ORIGIN, "jwt_audience": ORIGIN}


class Variant(NamedTuple):
    """The verifier of a server, and the issuer whose tokens the verifier accepts."""

    verifier: Verifier
    issuer: Issuer


class OneKeyDatabase:
    """A database with one signing key, and nothing else."""

    def __init__(self, jwk: dict[str, Any]) -> None:
        self.row = SimpleNamespace(private_jwk=json.dumps(jwk))

    async def fetch_all(self, *_: object) -> list[SimpleNamespace]:
        return [self.row]


def built_in(kid: str, origin: str) -> Variant:
    key = private_key(kid)
    database: Any = OneKeyDatabase(OKPAlgorithm.to_jwk(key, as_dict=True) | {"kid": kid})
    settings = Settings(public_url=origin)
    verifier = create_verifier(settings, BuiltInIssuer(database, origin, utc_now))
    return Variant(verifier, Issuer("EdDSA", key, kid, origin))


def shared_secret(secret: str, **settings: str) -> Variant:
    verifier = create_verifier(Settings(better_auth_secret=secret, **settings), None)
    return Variant(verifier, Issuer("HS256", secret.encode(), origin=settings.get("jwt_issuer")))


@pytest.fixture(scope="module")
def variants() -> Iterator[dict[str, Variant]]:
    with KeySetServer(*map(public_jwk, ALGORITHMS)).serving() as url:
        key_set = create_verifier(Settings(jwks_url=url, **ISSUER_SETTINGS), None)
        yield {
            "built-in": built_in("EdDSA-built-in", "http://127.0.0.1:8000"),
            **{algorithm: Variant(key_set, new_issuer(algorithm)) for algorithm in ALGORITHMS},
            "secret": shared_secret(private_key("HS256").decode()),
            "secret with issuer": shared_secret(private_key("HS256-2").decode(), **ISSUER_SETTINGS),
        }


def read_token(token: str | bytes) -> str:
    """Return the token as the server reads it from the Authorization header."""
    raw = token.encode() if isinstance(token, str) else token
    return get_bearer_token({b"authorization": [(b"Bearer " + raw).strip()]})


def subjects(made: Iterable[tuple[str, Verifier, str | bytes]]) -> dict[str, str]:
    """Return the `sub` of each token that its verifier accepts. Every other one raises InvalidToken."""

    async def verify_all() -> dict[str, str]:
        found = {}
        for name, verifier, token in made:
            with suppress(InvalidToken):
                found[name] = await verifier.verify(read_token(token))
        return found

    return asyncio.run(verify_all())


def accepted(variants: dict[str, Variant], make: Case) -> dict[str, str]:
    """Return the `sub` for each variant that accepts its token."""
    return subjects((name, variant.verifier, make(variant.issuer)) for name, variant in variants.items())


def rejected_cases() -> Iterator[Any]:
    """Yield each attack and which of the variants it applies to."""
    groups: list[tuple[str, dict[str, Case], Callable[[Issuer], bool]]] = [
        ("", REJECTED, lambda issuer: True),
        ("", BOUND, lambda issuer: issuer.origin is not None),
        ("", PUBLISHED, lambda issuer: issuer.algorithm != "HS256"),
        *(
            (f"{algorithm}: ", cases, lambda issuer, algorithm=algorithm: issuer.algorithm == algorithm)
            for algorithm, cases in BY_ALGORITHM.items()
        ),
    ]
    for prefix, cases, applies in groups:
        for reason, make in cases.items():
            yield pytest.param(make, applies, id=prefix + reason)


@pytest.mark.parametrize(("make", "applies"), [*rejected_cases()])
def test_forged_token_is_rejected_by_every_issuer(
    variants: dict[str, Variant], make: Case, applies: Callable[[Issuer], bool]
):
    chosen = {name: variant for name, variant in variants.items() if applies(variant.issuer)}
    assert chosen
    assert accepted(chosen, make) == {}


@pytest.mark.parametrize("is_alg_of_named_key", [False, True])
def test_token_that_names_another_published_key_is_rejected(
    variants: dict[str, Variant], is_alg_of_named_key: bool
):
    assert not subjects(
        (
            f"{signed} as {named}",
            variants[signed].verifier,
            new_issuer(signed).with_header(kid=named, alg=named if is_alg_of_named_key else signed),
        )
        for signed, named in permutations(ALGORITHMS, 2)
    )


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_token_of_another_issuer_is_rejected(
    variants: dict[str, Variant], disguise: Callable[[Issuer, Issuer], str]
):
    ours = {name: variants[name] for name in ("built-in", "EdDSA", "secret", "secret with issuer")}
    theirs = ours | {"another built-in": built_in("EdDSA-another", "http://127.0.0.1:8001")}
    assert not subjects(
        (f"{other} at {name}", variant.verifier, disguise(theirs[other].issuer, variant.issuer))
        for other in theirs
        for name, variant in ours.items()
        if other != name
    )


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
def test_valid_token_is_accepted_from_every_issuer(variants: dict[str, Variant], make: Case):
    assert accepted(variants, make) == dict.fromkeys(variants, "ada")


@pytest.mark.parametrize("sub", ["a", "A" * 128, "0.9_~@|:-", "ada@example.com", "google-oauth2|1234"])
def test_user_id_of_every_form_is_accepted(variants: dict[str, Variant], sub: str):
    assert accepted(variants, lambda issuer: issuer.token(sub=sub)) == dict.fromkeys(variants, sub)


@pytest.mark.parametrize("kid", ["", "2026", "x" * 255])
def test_shared_secret_accepts_every_kid(variants: dict[str, Variant], kid: str):
    chosen = {name: variants[name] for name in ("secret", "secret with issuer")}
    assert accepted(chosen, lambda issuer: issuer.with_header(kid=kid)) == dict.fromkeys(chosen, "ada")


def test_shared_secret_alone_accepts_every_issuer_and_audience(variants: dict[str, Variant]):
    secret = {"secret": variants["secret"]}
    assert accepted(secret, lambda issuer: issuer.token(iss="https://x.example.com", aud="y"))


def test_shared_secret_is_used_as_its_utf_8_bytes():
    assert accepted({"secret": shared_secret("ö-é-å-ü-" * 5)}, Issuer.token) == {"secret": "ada"}


HOPELESS: dict[str, Case] = {
    "expired": lambda issuer: issuer.token(exp=7),
    "another issuer": lambda issuer: issuer.token(iss="http://localhost:3001"),
    "another audience": lambda issuer: issuer.token(aud="y"),
    "no user": lambda issuer: issuer.token(sub=""),
    "a foreign algorithm": lambda issuer: issuer.with_header(alg="HS256"),
    "no algorithm": lambda issuer: issuer.with_header(alg="none"),
    "a critical extension": lambda issuer: issuer.with_header(crit=["exp"]),
}


@pytest.mark.parametrize("make", HOPELESS.values(), ids=HOPELESS)
def test_no_key_is_fetched_for_a_token_that_no_key_can_make_valid(make: Case):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving() as url:
        verifier = create_verifier(Settings(jwks_url=url, **ISSUER_SETTINGS), None)
        assert subjects([("", verifier, make(new_issuer("EdDSA")))]) == {}
    assert publisher.request_count == 0


def test_algorithms_are_those_of_the_issuer(variants: dict[str, Variant]):
    """A public key never verifies HS256, and a shared secret nothing else (RFC 8725 3.1)."""
    assert variants["built-in"].verifier.algorithms == {"EdDSA"}
    assert variants["EdDSA"].verifier.algorithms == {*ALGORITHMS}
    assert variants["secret"].verifier.algorithms == {"HS256"}
