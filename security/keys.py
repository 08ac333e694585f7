"""Where the keys come from that verify an outside issuer's tokens: a shared secret, or its JWKS."""

import asyncio
import base64
import logging
import time
from typing import Any

import httpx
import jwt

from contract import strict_json
from contract.problems import InvalidRequest, Unavailable

log = logging.getLogger("todo.keys")

ALGORITHMS = frozenset({"EdDSA", "ES256", "RS256", "PS256"})
REFRESH_S = 300
RETRY_S = 2  # the least time between two fetches, however many unknown kids come
MAX_BYTES = 256 * 1024

_CURVES = {"OKP": {"Ed25519": "EdDSA"}, "EC": {"P-256": "ES256"}}


class SharedSecret:
    """The one key of a frontend that signs with HS256: the raw UTF-8 bytes of its secret."""

    def __init__(self, secret: str) -> None:
        encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
        self._key = jwt.PyJWK({"kty": "oct", "k": encoded, "alg": "HS256"})

    async def find(self, _kid: str | None) -> jwt.PyJWK:
        """That key, whatever the token calls it."""
        return self._key


class KeySet:
    """An outside issuer's public keys, fetched when needed, one fetch at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """The key named `kid`. Raises Unavailable when no keys could ever be fetched."""
        if kid is None:
            return None
        now = time.monotonic()
        if kid not in self._keys or now - self._fetched_at > REFRESH_S:
            await self._refresh(asked_at=now)
        return self._keys.get(kid)

    async def _refresh(self, *, asked_at: float) -> None:
        async with self._fetching:
            if self._tried_at < asked_at - RETRY_S:
                self._tried_at = time.monotonic()
                await self._fetch()
        if self._fetched_at == float("-inf"):
            raise Unavailable("The keys of the issuer cannot be fetched. Try again in a moment.")

    async def _fetch(self) -> None:
        """Take over the keys at the URL; keep those known when it fails."""
        try:
            async with asyncio.timeout(3), httpx.AsyncClient() as client:
                response = await client.get(self._url)
            if response.status_code != httpx.codes.OK or len(response.content) > MAX_BYTES:
                raise ValueError("not a key set")
            self._keys = parse(strict_json.loads(response.content))
        except (httpx.HTTPError, TimeoutError, InvalidRequest, ValueError) as error:
            log.warning("the key set cannot be fetched", extra={"error": type(error).__name__})
            return
        self._fetched_at = time.monotonic()


def parse(document: Any) -> dict[str, jwt.PyJWK]:
    """The signing keys of a JSON Web Key Set (RFC 7517), by kid; what is not one is left out.

    Raises ValueError when it is no key set at all.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a key set")
    return {entry["kid"]: key for entry in entries if (key := _key(entry)) is not None}


def _key(entry: Any) -> jwt.PyJWK | None:
    """A public signing key of an algorithm taken here, or None."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or "d" in entry:
        return None
    if entry.get("use", "sig") != "sig":
        return None
    algorithm = _algorithm(entry)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


def _algorithm(entry: dict[str, Any]) -> str | None:
    """The one algorithm that a key is for; an RSA key says which of its two, RS256 when it does not."""
    if entry.get("kty") == "RSA":
        named = entry.get("alg", "RS256")
        return str(named) if named in ("RS256", "PS256") else None
    return _CURVES.get(str(entry.get("kty")), {}).get(str(entry.get("crv")))
