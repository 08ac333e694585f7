"""The built-in issuer. It signs tokens with a key that all workers and machines share."""

import asyncio
import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from persistence import signing_keys
from persistence.database import Database

LIFETIME = timedelta(minutes=15)
RELOAD_INTERVAL = timedelta(seconds=2)  # between two reads of the table for an unknown kid


class Issuer:
    """Signs tokens whose `iss` and `aud` are `origin`."""

    def __init__(self, database: Database, origin: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._origin = origin
        self._clock = clock
        self._jwks: list[dict[str, Any]] = []  # private, newest first
        self._loaded_at: datetime | None = None
        self._loading: asyncio.Task[None] | None = None

    async def sign_token(self, user_id: str) -> str:
        """Return a token of `user_id`, valid for LIFETIME."""
        newest = (await self._load_private_jwks())[0]
        now = self._clock()
        claims = {"sub": user_id, "iss": self._origin, "aud": self._origin, "iat": now, "exp": now + LIFETIME}
        return jwt.encode(claims, jwt.PyJWK(newest, "EdDSA"), headers={"kid": newest["kid"]})

    async def get_public_jwks(self) -> list[dict[str, Any]]:
        """Return the public keys, newest first."""
        return [_to_public(jwk) for jwk in await self._load_private_jwks()]

    async def find_key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the public key named `kid`, which another server may have just created."""
        await self._load_private_jwks()
        if kid not in self._keys and self._is_reload_due():
            await self._load()
        return self._keys.get(kid)

    def _is_reload_due(self) -> bool:
        return self._loaded_at is None or self._clock() - self._loaded_at > RELOAD_INTERVAL

    async def _load_private_jwks(self) -> list[dict[str, Any]]:
        if not self._jwks:
            await self._load()
        return self._jwks

    async def _load(self) -> None:
        """Read the keys. All waiting requests share one read, which is not cancelled with one of them."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._read())
        loading = self._loading
        await asyncio.wait({loading})
        loading.result()

    async def _read(self) -> None:
        """Read the keys, and create the first one if there is none."""
        rows = await signing_keys.list_newest_first(self._database)
        if not rows:
            kid, private_jwk = _create_key()
            await signing_keys.add(self._database, 1, kid=kid, private_jwk=private_jwk, now=self._clock())
            rows = await signing_keys.list_newest_first(self._database)
        self._jwks = [json.loads(row.private_jwk) for row in rows]
        self._keys = {jwk["kid"]: jwt.PyJWK(_to_public(jwk)) for jwk in self._jwks}
        self._loaded_at = self._clock()


def _create_key() -> tuple[str, str]:
    """Return a kid and a new private Ed25519 key as a JWK (RFC 8037)."""
    kid = secrets.token_hex(8)
    jwk = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)
    return kid, json.dumps({**jwk, "kid": kid})


def _to_public(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in ("kty", "crv", "x", "kid")} | {"alg": "EdDSA", "use": "sig"}
