"""Measure the verification of a token by algorithm, beside PyJWT's `decode` alone.

`make bench` prints the microseconds of one verification, the first time and while it is remembered, with
the keys known and each token as Better Auth makes it (the whole user row, about 600 bytes).
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from security import jwk
from security.keys import SharedSecret
from security.tokens import KeyFinder, Verifier

ORIGIN = "https://app.example.com"
SECRET = "benchmark-" * 4
VERIFICATIONS, ROUNDS = 500, 7


class Case(NamedTuple):
    """A way to sign: the private key, and who finds the public one."""

    algorithm: str
    private_key: Any
    find_key: KeyFinder


def cases() -> list[Case]:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pairs = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "RS256": rsa_key,
        "PS256": rsa_key,
    }
    published = [Case(name, key, published_by(name, key)) for name, key in pairs.items()]
    return [Case("HS256", SECRET, SharedSecret(SECRET).find), *published]


def published_by(algorithm: str, private_key: Any) -> KeyFinder:
    """Return the public key as in a key set."""
    public = get_default_algorithms()[algorithm].to_jwk(private_key.public_key(), as_dict=True)
    keys = jwk.parse_key_set(json.dumps({"keys": [public | {"alg": algorithm, "kid": "1"}]}).encode())

    async def find(kid: str | None) -> jwt.PyJWK | None:
        return keys.get(kid or "")

    return find


def token(case: Case) -> str:
    now = int(time.time())
    user = {
        "name": "Ada Lovelace", "email": "ada@example.com", "emailVerified": True, "image": None,
        "createdAt": "2026-11-21T09:30:00.000Z", "updatedAt": "2026-11-21T09:30:00.000Z", "id": "a" * 32,
    }  # fmt: skip
    claims = user | {"sub": "a" * 32, "iss": ORIGIN, "aud": ORIGIN, "iat": now, "exp": now + 900}
    return jwt.encode(claims, case.private_key, case.algorithm, headers={"kid": "1", "typ": None})


async def microseconds(verify: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    for _ in range(VERIFICATIONS):
        await verify()
    return (time.perf_counter() - began) / VERIFICATIONS * 1e6


async def medians(case: Case) -> list[float]:
    """Return the medians of PyJWT alone, and of the first and the cached verification here, in turns."""
    signed = token(case)
    key = await case.find_key("1")
    assert key is not None
    verifier = Verifier(
        algorithms=frozenset({case.algorithm}), find_key=case.find_key, issuer=ORIGIN, audience=ORIGIN
    )

    async def alone() -> Any:
        return jwt.decode(signed, key, algorithms=[case.algorithm], issuer=ORIGIN, audience=ORIGIN)

    ways: list[Callable[[], Awaitable[Any]]] = [
        alone,
        lambda: replace(verifier).verify(signed),  # a new one, which remembers nothing
        lambda: verifier.verify(signed),
    ]
    rounds = [[await microseconds(verify) for verify in ways] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


async def main() -> None:
    print("PyJWT's decode   first time   remembered")
    for case in cases():
        alone, first, again = await medians(case)
        print(f"{alone:11.0f} µs {first:9.0f} µs {again:9.1f} µs  {case.algorithm}")


if __name__ == "__main__":
    asyncio.run(main())
