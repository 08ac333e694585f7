"""The built-in issuer. It signs tokens with a key that all workers and machines share."""

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from contract.problems import Unavailable
from persistence import signing_keys
from persistence.database import Database
from persistence.tables import SigningKeyRow

LIFETIME = timedelta(minutes=15)
ROTATED_LIFETIME = LIFETIME + timedelta(minutes=1)  # of a key after the next one; 1 minute for other clocks
RELOAD_INTERVAL = timedelta(seconds=2)  # between two reads of the table for an unknown kid
REFRESH_INTERVAL = timedelta(seconds=60)  # then a request reads the keys in the background
MAX_UNCHECKED = timedelta(seconds=300)  # then a request waits for the keys, because one may be revoked


class Issuer:
    """Signs tokens whose `iss` and `aud` are `origin`."""

    def __init__(self, database: Database, origin: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._origin = origin
        self._clock = clock
        self._jwks: list[dict[str, Any]] = []  # private, newest first
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._loaded_at = datetime.min.replace(tzinfo=UTC)
        self._loading: asyncio.Task[None] | None = None

    async def sign_token(self, user_id: str) -> str:
        """Return a token of `user_id`, valid for LIFETIME, signed with the newest key in the database."""
        await self._load()
        newest = self._jwks[0]
        now = self._clock()
        claims = {"sub": user_id, "iss": self._origin, "aud": self._origin, "iat": now, "exp": now + LIFETIME}
        return jwt.encode(claims, jwt.PyJWK(newest, "EdDSA"), headers={"kid": newest["kid"]})

    async def get_public_jwks(self) -> list[dict[str, Any]]:
        """Return the public keys, newest first."""
        if self._age > RELOAD_INTERVAL:
            with nullcontext() if self._age > MAX_UNCHECKED else suppress(Unavailable):
                await self._load()
        return [_to_public(jwk) for jwk in self._jwks]

    async def find_key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the public key named `kid`, which another server may have just created."""
        age = self._age
        if age > MAX_UNCHECKED or (kid not in self._keys and age > RELOAD_INTERVAL):
            await self._load()
        elif age > REFRESH_INTERVAL:
            self._start_load()
        return self._keys.get(kid)

    @property
    def _age(self) -> timedelta:
        return self._clock() - self._loaded_at

    async def _load(self) -> None:
        """Read the keys. All waiting requests share one read, which is not cancelled with one of them."""
        loading = self._start_load()
        await asyncio.wait({loading})
        loading.result()

    def _start_load(self) -> asyncio.Task[None]:
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._read())
            self._loading.add_done_callback(_ignore_error)  # a later request waits for the keys
        return self._loading

    async def _read(self) -> None:
        """Read the keys, and create the first one if there is none."""
        rows = await signing_keys.list_newest_first(self._database)
        if not rows:
            kid, private_jwk = create_key()
            await signing_keys.add(self._database, 1, kid=kid, private_jwk=private_jwk, now=self._clock())
            rows = await signing_keys.list_newest_first(self._database)
        self._jwks = [json.loads(row.private_jwk) for row in select_valid(rows, self._clock())]
        # Known keys stay the same objects: a cached token is valid while its key is.
        self._keys = {
            jwk["kid"]: self._keys.get(jwk["kid"]) or jwt.PyJWK(_to_public(jwk)) for jwk in self._jwks
        }
        self._loaded_at = self._clock()


def select_valid(rows: Sequence[SigningKeyRow], now: datetime) -> list[SigningKeyRow]:
    """Return the keys that may have signed a token that is still valid, newest first."""
    newer = [None, *rows]
    return [
        row
        for row, successor in zip(rows, newer, strict=False)
        if successor is None or now - successor.created_at < ROTATED_LIFETIME
    ]


def create_key() -> tuple[str, str]:
    """Return a kid and a new private Ed25519 key as a JWK (RFC 8037)."""
    kid = secrets.token_hex(8)
    jwk = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)
    return kid, json.dumps({**jwk, "kid": kid})


def _ignore_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def _to_public(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in ("kty", "crv", "x", "kid")} | {"alg": "EdDSA", "use": "sig"}
