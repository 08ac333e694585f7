"""Tokens that the servers of some issuers must reject: the reason, and how to make the token."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.forged_tokens import ED25519_ORDER, change_signature, hs256
from tests.support.token_issuers import Issuer, as_json, decode, encode, jwk_of, private_key, segment
from tests.unit.token_cases import Case

P256_ORDER = (0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551).to_bytes(32, "big")


def public_key(issuer: Issuer, encoding: str, form: str = "SubjectPublicKeyInfo") -> bytes:
    spelling = getattr(Encoding, encoding), getattr(PublicFormat, form)
    return bytes(issuer.key.public_key().public_bytes(*spelling))


def jwk(issuer: Issuer) -> dict[str, Any]:
    """Return the key as it is published."""
    return jwk_of(issuer.key.public_key(), issuer.algorithm) | {"kid": issuer.kid}


def sign_as(issuer: Issuer, algorithm: str, *, named: str | None = None) -> str:
    """Sign with another algorithm that fits the key. `named` is the header's alg."""
    signing_input = f"{segment(issuer.header(alg=named or algorithm))}.{segment(issuer.claims())}"
    return f"{signing_input}.{encode(issuer.signature(signing_input, algorithm))}"


def sign_with_rsa(issuer: Issuer, scheme: Any, digest: hashes.HashAlgorithm) -> str:
    signing_input = f"{segment(issuer.header())}.{segment(issuer.claims())}"
    return f"{signing_input}.{encode(issuer.key.sign(signing_input.encode(), scheme, digest))}"


def pss(salt_length: int, mask: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(mask), salt_length)


def without_leading_zero(issuer: Issuer) -> str:
    """Return a token whose signature is right, but shorter than the key (RFC 8017 8.1.2)."""
    tokens = (issuer.token(number=number).rpartition(".") for number in count())
    signing_input, dot, signature = next(found for found in tokens if decode(found[2])[0] == 0)
    return signing_input + dot + encode(decode(signature)[1:])


def next_s(raw: bytes) -> bytes:
    """Add the order of the group to S in the Ed25519 signature R, S (RFC 8032 8.4)."""
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ED25519_ORDER).to_bytes(32, "little")


def in_der(raw: bytes) -> bytes:
    """Return the ECDSA signature in DER, as most programs write it."""
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


# Against servers that compare iss and aud.
BOUND: dict[str, Case] = {
    **{
        f"{name} {value!r}": lambda issuer, name=name, value=value: issuer.token(**{name: value})
        for name in ("iss", "aud")
        for value in (..., None, "", 7, "http://localhost:3001", "better-auth:session-cache", [])
    },
    **{
        f"{name} {how}": lambda issuer, name=name, change=change: issuer.token(
            **{name: change(issuer.origin)}
        )
        for name in ("iss", "aud")
        for how, change in {
            "an object": lambda origin: {origin: 1},
            "with a slash": lambda origin: f"{origin}/",
            "in capitals": str.upper,
            "with a character more": lambda origin: f"{origin}0",
            "with a character less": lambda origin: origin[:-1],
            "in a list of its own": lambda origin: f"{origin},{origin}",
            "an array of others": lambda origin: ["http://localhost:3001", f"{origin}/"],
            "an array in an array": lambda origin: [[origin]],
            "an array with a number": lambda origin: [origin, 7],
        }.items()
    },
    "iss an array": lambda issuer: issuer.token(iss=[issuer.origin]),
    "iss in the header alone": lambda issuer: issuer.sign(
        issuer.header(iss=issuer.origin), issuer.claims(iss=...)
    ),
    "aud in the header alone": lambda issuer: issuer.sign(
        issuer.header(aud=issuer.origin), issuer.claims(aud=...)
    ),
}

# Against issuers that publish their keys, each with a kid.
PUBLISHED: dict[str, Case] = {
    "kid missing": lambda issuer: issuer.with_header(kid=...),
    "kid empty": lambda issuer: issuer.with_header(kid=""),
    "kid unknown": lambda issuer: issuer.with_header(kid="unknown"),
    "kid with a space": lambda issuer: issuer.with_header(kid=f"{issuer.kid} "),
    "kid with a character less": lambda issuer: issuer.with_header(kid=f"{issuer.kid}"[:-1]),
    "kid a path": lambda issuer: issuer.with_header(kid=f"../keys/{issuer.kid}"),
    "kid a query": lambda issuer: issuer.with_header(kid=f"x' UNION SELECT '{issuer.kid}"),
    "kid in the payload": lambda issuer: issuer.sign(issuer.header(kid=...), issuer.claims(kid=issuer.kid)),
    "HS256 with the key in PEM": lambda issuer: hs256(issuer, public_key(issuer, "PEM")),
    "HS256 with the key in PEM, stripped": lambda issuer: hs256(issuer, public_key(issuer, "PEM").rstrip()),
    "HS256 with the key in DER": lambda issuer: hs256(issuer, public_key(issuer, "DER")),
    "HS256 with the key as a JWK": lambda issuer: hs256(issuer, as_json(jwk(issuer))),
    "HS256 with the key as a JWK, spaced": lambda issuer: hs256(issuer, json.dumps(jwk(issuer)).encode()),
    "HS256 with the key's x or n": lambda issuer: hs256(
        issuer, (jwk(issuer).get("x") or jwk(issuer)["n"]).encode()
    ),
    "HS256 with the key in PEM and no kid": lambda issuer: hs256(issuer, public_key(issuer, "PEM"), kid=...),
}

# Against issuers that sign with that algorithm.
BY_ALGORITHM: dict[str, dict[str, Case]] = {
    "EdDSA": {
        "HS256 with the key's bytes": lambda issuer: hs256(issuer, public_key(issuer, "Raw", "Raw")),
        "alg Ed25519 (RFC 9864)": lambda issuer: issuer.with_header(alg="Ed25519"),
        "S and the order of the group": lambda issuer: change_signature(issuer, next_s),
        "R alone": lambda issuer: change_signature(issuer, lambda raw: raw[:32] + bytes(32)),
        "S alone": lambda issuer: change_signature(issuer, lambda raw: bytes(32) + raw[32:]),
        "R of small order and no S": lambda issuer: change_signature(issuer, lambda raw: b"\1" + bytes(63)),
        "by an Ed448 key": lambda issuer: replace(issuer, key=private_key("Ed448")).token(),
    },
    "ES256": {
        "HS256 with the key's point": lambda issuer: hs256(
            issuer, public_key(issuer, "X962", "UncompressedPoint")
        ),
        "in DER": lambda issuer: change_signature(issuer, in_der),
        "in 66 bytes": lambda issuer: change_signature(
            issuer, lambda raw: b"\0" + raw[:32] + b"\0" + raw[32:]
        ),
        "no r": lambda issuer: change_signature(issuer, lambda raw: bytes(32) + raw[32:]),
        "no s": lambda issuer: change_signature(issuer, lambda raw: raw[:32] + bytes(32)),
        "r and s the order of the group": lambda issuer: change_signature(issuer, lambda raw: P256_ORDER * 2),
        "r 1 and s 1": lambda issuer: change_signature(issuer, lambda raw: (bytes(31) + b"\1") * 2),
    },
    "RS256": {
        "HS256 with the key in PKCS 1": lambda issuer: hs256(issuer, public_key(issuer, "PEM", "PKCS1")),
        "PS256 with a key that is for RS256": lambda issuer: sign_as(issuer, "PS256"),
        "PS256 under the name of RS256": lambda issuer: sign_as(issuer, "PS256", named="RS256"),
        "RS512": lambda issuer: sign_as(issuer, "RS512"),
        "RS512 under the name of RS256": lambda issuer: sign_as(issuer, "RS512", named="RS256"),
        "SHA-1": lambda issuer: sign_with_rsa(issuer, padding.PKCS1v15(), hashes.SHA1()),
        "without its leading zero": without_leading_zero,
        "1": lambda issuer: change_signature(issuer, lambda raw: bytes(255) + b"\1"),
    },
    "PS256": {
        "RS256 with a key that is for PS256": lambda issuer: sign_as(issuer, "RS256"),
        "RS256 under the name of PS256": lambda issuer: sign_as(issuer, "RS256", named="PS256"),
        "PS512": lambda issuer: sign_as(issuer, "PS512"),
        "without its leading zero": without_leading_zero,
        "no salt": lambda issuer: sign_with_rsa(issuer, pss(0, hashes.SHA256()), hashes.SHA256()),
        "another mask": lambda issuer: sign_with_rsa(issuer, pss(32, hashes.SHA1()), hashes.SHA256()),
    },
    "HS256": {
        "HS512": lambda issuer: sign_as(issuer, "HS512"),
        "HS512 under the name of HS256": lambda issuer: sign_as(issuer, "HS512", named="HS256"),
        "the secret and a line end": lambda issuer: replace(issuer, key=issuer.key + b"\n").token(),
        "the secret in base64": lambda issuer: replace(issuer, key=encode(issuer.key).encode()).token(),
        "the secret cut to 32 bytes": lambda issuer: replace(issuer, key=issuer.key[:32]).token(),
    },
}

# How a token of another issuer can imitate a token of ours.
DISGUISES: dict[str, Callable[[Issuer, Issuer], str]] = {
    "as it is": lambda theirs, ours: theirs.token(),
    "our origin": lambda theirs, ours: replace(theirs, origin=ours.origin).token(),
    "our origin and kid": lambda theirs, ours: imitate(theirs, ours).token(),
    "our origin, kid and alg": lambda theirs, ours: imitate(theirs, ours).with_header(alg=ours.algorithm),
}


def imitate(theirs: Issuer, ours: Issuer) -> Issuer:
    return replace(theirs, origin=ours.origin, kid=ours.kid)
