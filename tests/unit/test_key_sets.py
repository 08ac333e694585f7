"""Key sets: which entries of a published document may verify tokens."""

import asyncio
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from contract.problems import InvalidRequest
from security import jwk
from security.tokens import Verifier
from tests.support.forged_tokens import SMALL_ORDER, small_order_jwk, small_order_token
from tests.support.token_issuers import ALGORITHMS, ORIGIN, as_json, encode, minted, private_key, public_jwk

GARBAGE = [
    *(None, 7, "key", [], {}, {"kid": 7, "kty": "OKP", "crv": "Ed25519", "x": "A" * 43}),
    *({"kid": "x"} | members for members in (
        {},
        {"kty": {}, "alg": {}},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "RSA", "n": None, "e": []},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": ["RS256"]},
        {"kty": "oct", "k": "A" * 43},
    )),
]  # fmt: skip


# All of them are the same few keys with other members, because an RSA key takes 0.1 s to generate.
UNUSABLE: dict[str, Callable[[], dict[str, Any]]] = {
    "a key for encryption": lambda: public_jwk("EdDSA", use="enc"),
    "a key for encryption, by its operations": lambda: public_jwk("RS256", key_ops=["encrypt"]),
    "operations that are no list": lambda: public_jwk("EdDSA", key_ops="verify"),
    "a key for no use": lambda: public_jwk("EdDSA", use=""),
    "a key of another curve": lambda: public_jwk("Ed448"),
    "a private key": lambda: public_jwk("EdDSA", d=encode(private_key("EdDSA").private_bytes_raw())),
    **{
        f"a key with the private member {name}": lambda name=name: public_jwk("RS256", **{name: "AA"})
        for name in ("d", "k", "p", "q", "dp", "dq", "qi", "oth")
    },
    "a key of another algorithm": lambda: public_jwk("ES256", alg="ES512"),
    "a key of a secret's algorithm": lambda: public_jwk("EdDSA", alg="HS256"),
    "an RSA key for encryption": lambda: public_jwk("RS256", alg="RSA-OAEP-256"),
    "an RSA key of another kind's algorithm": lambda: public_jwk("RS256", alg="EdDSA"),
    "an RSA key of 1024 bits, for RS256 (RFC 7518 3.3)": lambda: public_jwk("RS256-short"),
    "an RSA key of 1024 bits, for PS256 (RFC 7518 3.5)": lambda: public_jwk("RS256-short", alg="PS256"),
    "a key without a kid": lambda: {k: v for k, v in public_jwk("EdDSA").items() if k != "kid"},
}


def parse(*entries: Any) -> dict[str, jwt.PyJWK]:
    return jwk.parse_key_set(as_json({"keys": entries}))


def verify(keys: dict[str, jwt.PyJWK], token: str) -> str:
    async def find(kid: str | None) -> jwt.PyJWK | None:
        return keys.get(kid or "")

    return asyncio.run(Verifier(algorithms=jwk.ALGORITHMS, find_key=find).verify(token))


def test_usable_keys_among_garbage_verify_tokens():
    keys = parse(*GARBAGE, *map(public_jwk, ALGORITHMS), *GARBAGE)
    assert keys.keys() == {*ALGORITHMS}
    assert [verify(keys, minted(kid)) for kid in ALGORITHMS] == ["ada"] * 4


def test_algorithm_of_a_key_may_be_left_out():
    kids = ("EdDSA", "ES256", "RS256")
    keys = parse(*({k: v for k, v in public_jwk(kid).items() if k != "alg"} for kid in kids))
    assert {kid: key.algorithm_name for kid, key in keys.items()} == {kid: kid for kid in kids}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_key_for_another_purpose_is_ignored(make: Callable[[], dict[str, Any]]):
    assert parse(make(), public_jwk("EdDSA-2")).keys() == {"EdDSA-2"}


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_point_that_needs_no_private_key_is_ignored(point: str):
    entry, token = small_order_jwk(point), small_order_token(point)
    assert jwt.decode(token, jwt.PyJWK(entry), ["EdDSA"], audience=ORIGIN), "PyJWT accepts the forged token"
    assert parse(entry) == {}


def test_exponent_that_needs_no_private_key_is_ignored():
    """With the exponent 1, a padded digest is its own signature."""
    assert parse(public_jwk("RS256", e=encode(b"\1"))) == {}


NO_KEY_SETS = [b"", b"<!doctype html>", b"null", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}']


@pytest.mark.parametrize("document", NO_KEY_SETS, ids=str)
def test_document_that_is_no_key_set_raises(document: bytes):
    with pytest.raises((InvalidRequest, ValueError)):
        jwk.parse_key_set(document)
