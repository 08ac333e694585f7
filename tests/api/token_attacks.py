"""Tokens that only some issuers could be forged with: each with its reason and how it is made."""

import json
from dataclasses import replace
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.api.token_cases import Case
from tests.support.forged_tokens import ED25519_ORDER, hs256, resigned
from tests.support.token_issuers import Issuer, as_json, decoded, encoded, jwk_of, private_key, segment

P256_ORDER = (0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551).to_bytes(32, "big")


def public_key(our: Issuer, encoding: str, form: str = "SubjectPublicKeyInfo") -> bytes:
    spelling = getattr(Encoding, encoding), getattr(PublicFormat, form)
    return bytes(our.key.public_key().public_bytes(*spelling))


def jwk(our: Issuer) -> dict[str, Any]:
    """As it is published."""
    return jwk_of(our.key.public_key(), our.algorithm) | {"kid": our.kid}


def signed_as(our: Issuer, algorithm: str, *, named: str | None = None) -> str:
    """Signed with an algorithm that the key can do and is not for; `named` is the alg of the header."""
    signing_input = f"{segment(our.header(alg=named or algorithm))}.{segment(our.claims())}"
    return f"{signing_input}.{encoded(our.signature(signing_input, algorithm))}"


def rsa_signed(our: Issuer, scheme: Any, digest: hashes.HashAlgorithm) -> str:
    signing_input = f"{segment(our.header())}.{segment(our.claims())}"
    return f"{signing_input}.{encoded(our.key.sign(signing_input.encode(), scheme, digest))}"


def pss(salt_length: int, mask: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(mask), salt_length)


def without_leading_zero(our: Issuer) -> str:
    """A token whose signature is the same number, but short of the size of the key (RFC 8017 8.1.2)."""
    tokens = (our.token(number=number).rpartition(".") for number in count())
    signing_input, dot, signature = next(found for found in tokens if decoded(found[2])[0] == 0)
    return signing_input + dot + encoded(decoded(signature)[1:])


def next_s(raw: bytes) -> bytes:
    """Of an Ed25519 signature R, S: the same S but for the order of the group (RFC 8032 8.4)."""
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ED25519_ORDER).to_bytes(32, "little")


def in_der(raw: bytes) -> bytes:
    """An ECDSA signature as most of the world writes it."""
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


# Of issuers whose tokens are for one origin.
BOUND: dict[str, Case] = {
    "iss missing": lambda our: our.token(iss=...),
    "iss null": lambda our: our.token(iss=None),
    "iss empty": lambda our: our.token(iss=""),
    "iss an array": lambda our: our.token(iss=[our.origin]),
    "iss an object": lambda our: our.token(iss={our.origin: 1}),
    "iss another": lambda our: our.token(iss="http://localhost:3001"),
    "iss with a slash": lambda our: our.token(iss=f"{our.origin}/"),
    "iss in capitals": lambda our: our.token(iss=f"{our.origin}".upper()),
    "iss with a character more": lambda our: our.token(iss=f"{our.origin}0"),
    "iss with a character less": lambda our: our.token(iss=f"{our.origin}"[:-1]),
    "iss in the header alone": lambda our: our.signed(our.header(iss=our.origin), our.claims(iss=...)),
    "aud missing": lambda our: our.token(aud=...),
    "aud null": lambda our: our.token(aud=None),
    "aud empty": lambda our: our.token(aud=""),
    "aud a number": lambda our: our.token(aud=7),
    "aud an object": lambda our: our.token(aud={our.origin: 1}),
    "aud another": lambda our: our.token(aud="http://localhost:3001"),
    "aud of the session cache": lambda our: our.token(aud="better-auth:session-cache"),
    "aud with a slash": lambda our: our.token(aud=f"{our.origin}/"),
    "aud with a character more": lambda our: our.token(aud=f"{our.origin}0"),
    "aud in a list of its own": lambda our: our.token(aud=f"{our.origin},{our.origin}"),
    "aud an empty array": lambda our: our.token(aud=[]),
    "aud an array of others": lambda our: our.token(aud=["http://localhost:3001", f"{our.origin}/"]),
    "aud an array in an array": lambda our: our.token(aud=[[our.origin]]),
    "aud an array with a number": lambda our: our.token(aud=[our.origin, 7]),
    "aud in the header alone": lambda our: our.signed(our.header(aud=our.origin), our.claims(aud=...)),
}

# Of issuers whose keys are public, and have names.
PUBLISHED: dict[str, Case] = {
    "kid missing": lambda our: our.headed(kid=...),
    "kid empty": lambda our: our.headed(kid=""),
    "kid unknown": lambda our: our.headed(kid="unknown"),
    "kid with a space": lambda our: our.headed(kid=f"{our.kid} "),
    "kid with a character less": lambda our: our.headed(kid=f"{our.kid}"[:-1]),
    "kid a path": lambda our: our.headed(kid=f"../keys/{our.kid}"),
    "kid a query": lambda our: our.headed(kid=f"x' UNION SELECT '{our.kid}"),
    "kid in the payload": lambda our: our.signed(our.header(kid=...), our.claims(kid=our.kid)),
    "HS256 with the key in PEM": lambda our: hs256(our, public_key(our, "PEM")),
    "HS256 with the key in PEM, stripped": lambda our: hs256(our, public_key(our, "PEM").rstrip()),
    "HS256 with the key in DER": lambda our: hs256(our, public_key(our, "DER")),
    "HS256 with the key as a JWK": lambda our: hs256(our, as_json(jwk(our))),
    "HS256 with the key as a JWK, spaced": lambda our: hs256(our, json.dumps(jwk(our)).encode()),
    "HS256 with the key's x or n": lambda our: hs256(our, (jwk(our).get("x") or jwk(our)["n"]).encode()),
    "HS256 with the key in PEM and no kid": lambda our: hs256(our, public_key(our, "PEM"), kid=...),
}

# Of issuers that sign with one algorithm.
BY_ALGORITHM: dict[str, dict[str, Case]] = {
    "EdDSA": {
        "HS256 with the key's bytes": lambda our: hs256(our, public_key(our, "Raw", "Raw")),
        "alg Ed25519 (RFC 9864)": lambda our: our.headed(alg="Ed25519"),
        "S and the order of the group": lambda our: resigned(our, next_s),
        "R alone": lambda our: resigned(our, lambda raw: raw[:32] + bytes(32)),
        "S alone": lambda our: resigned(our, lambda raw: bytes(32) + raw[32:]),
        "R of small order and no S": lambda our: resigned(our, lambda raw: b"\1" + bytes(63)),
        "by an Ed448 key": lambda our: replace(our, key=private_key("Ed448")).token(),
    },
    "ES256": {
        "HS256 with the key's point": lambda our: hs256(our, public_key(our, "X962", "UncompressedPoint")),
        "in DER": lambda our: resigned(our, in_der),
        "in 66 bytes": lambda our: resigned(our, lambda raw: b"\0" + raw[:32] + b"\0" + raw[32:]),
        "no r": lambda our: resigned(our, lambda raw: bytes(32) + raw[32:]),
        "no s": lambda our: resigned(our, lambda raw: raw[:32] + bytes(32)),
        "r and s the order of the group": lambda our: resigned(our, lambda raw: P256_ORDER * 2),
        "r 1 and s 1": lambda our: resigned(our, lambda raw: (bytes(31) + b"\1") * 2),
    },
    "RS256": {
        "HS256 with the key in PKCS 1": lambda our: hs256(our, public_key(our, "PEM", "PKCS1")),
        "PS256 with a key that is for RS256": lambda our: signed_as(our, "PS256"),
        "PS256 under the name of RS256": lambda our: signed_as(our, "PS256", named="RS256"),
        "RS512": lambda our: signed_as(our, "RS512"),
        "RS512 under the name of RS256": lambda our: signed_as(our, "RS512", named="RS256"),
        "SHA-1": lambda our: rsa_signed(our, padding.PKCS1v15(), hashes.SHA1()),
        "without its leading zero": without_leading_zero,
        "1": lambda our: resigned(our, lambda raw: bytes(255) + b"\1"),
    },
    "PS256": {
        "RS256 with a key that is for PS256": lambda our: signed_as(our, "RS256"),
        "RS256 under the name of PS256": lambda our: signed_as(our, "RS256", named="PS256"),
        "PS512": lambda our: signed_as(our, "PS512"),
        "without its leading zero": without_leading_zero,
        "no salt": lambda our: rsa_signed(our, pss(0, hashes.SHA256()), hashes.SHA256()),
        "another mask": lambda our: rsa_signed(our, pss(32, hashes.SHA1()), hashes.SHA256()),
    },
    "HS256": {
        "HS512": lambda our: signed_as(our, "HS512"),
        "HS512 under the name of HS256": lambda our: signed_as(our, "HS512", named="HS256"),
        "the secret and a line end": lambda our: replace(our, key=our.key + b"\n").token(),
        "the secret in base64": lambda our: replace(our, key=encoded(our.key).encode()).token(),
        "the secret cut to 32 bytes": lambda our: replace(our, key=our.key[:32]).token(),
    },
}

# What a token of `theirs` says when it is brought to a server of `our` issuer's.
DISGUISES: dict[str, Any] = {
    "as it is": lambda theirs, our: theirs.token(),
    "our origin": lambda theirs, our: replace(theirs, origin=our.origin).token(),
    "our origin and kid": lambda theirs, our: replace(theirs, origin=our.origin, kid=our.kid).token(),
    "our origin, kid and alg": lambda theirs, our: replace(theirs, origin=our.origin, kid=our.kid).headed(
        alg=our.algorithm
    ),
}
