"""The keys of an outside issuer: a shared secret, or its JWKS."""

import asyncio
import base64
import logging
import math
import time
from collections.abc import Callable

import httpx
import jwt
from prometheus_client import Counter, Gauge

from contract.problems import Unavailable
from security import jwk

log = logging.getLogger("todo.keys")

REFRESH_S = 150  # then a request refreshes the keys in the background
MAX_UNCHECKED_S = 300  # then a request waits for the refresh, so that a revoked key is accepted no longer
MAX_AGE_S = 24 * 3600  # how long cached keys are used while the issuer is unreachable
RETRY_S, MAX_RETRY_S = 2, 30  # between two fetches, regardless of the number of unknown keys
FETCH_TIMEOUT_S = 3
MAX_BYTES = 256 * 1024

_FETCHES = Counter("todo_key_fetches", "Fetches of the outside issuer's keys.", ("outcome",))
_SUCCESSES, _FAILURES = _FETCHES.labels("success"), _FETCHES.labels("failure")
_FETCHED_AT = Gauge(
    "todo_keys_fetched_timestamp_seconds",
    "When the outside issuer's keys were last fetched (Unix time); 0 for never.",
    multiprocess_mode="livemax",
)


class SharedSecret:
    """The key of a frontend that signs with HS256: the UTF-8 bytes of its secret."""

    def __init__(self, secret: str) -> None:
        encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
        self._key = jwt.PyJWK({"kty": "oct", "k": encoded, "alg": "HS256"})

    async def find(self, _kid: str | None) -> jwt.PyJWK:
        """Return the key, for any `kid`."""
        return self._key


class KeySet:
    """The cached public keys of an outside issuer. All waiting requests share one fetch."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._tls = httpx.create_ssl_context()  # once, because it reads every root certificate
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = self._next_fetch_at = -math.inf
        self._failures = 0  # since the last fetch that succeeded
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key named `kid`, None if the issuer has no such key.

        A cached key is returned at once and refreshed in the background. Wait for a fetch only if the key is
        unknown, or no fetch was tried for MAX_UNCHECKED_S. Raise Unavailable if the issuer is unreachable.
        """
        if kid is None:
            return None
        age_s = self._clock() - self._fetched_at
        if age_s > MAX_AGE_S:
            self._keys = {}
        if kid in self._keys and age_s <= REFRESH_S:
            return self._keys[kid]
        is_unchecked = self._clock() - self._tried_at > MAX_UNCHECKED_S
        fetching = self._start_fetch()
        if fetching and (is_unchecked or kid not in self._keys):
            # This does not cancel the fetch with the request, because other requests wait for it.
            await asyncio.wait({fetching})
        if kid not in self._keys and self._failures:
            raise self._create_unavailable()
        return self._keys.get(kid)

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress or start one. Return None too soon after the last fetch."""
        if self._fetching is None or self._fetching.done():
            if self._clock() < self._next_fetch_at:
                return None
            self._fetching = asyncio.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        """Fetch the keys at the URL. Keep the cached keys if that fails."""
        started_at = self._tried_at = self._clock()
        try:
            self._keys = await self.fetch()
        except Exception as error:  # no error of the network, TLS or the document may fail requests
            self._failures += 1
            _FAILURES.inc()
            log.warning("the key set cannot be fetched", extra={"error": repr(error)})
        else:
            self._failures, self._fetched_at = 0, started_at
            _SUCCESSES.inc()
            _FETCHED_AT.set_to_current_time()
            if not self._keys:
                log.warning("the key set contains no key that can verify tokens")
        doublings = min(max(self._failures - 1, 0), 4)  # 2 s for the first failure, then 4, 8, 16, 30
        self._next_fetch_at = started_at + min(RETRY_S * 2**doublings, MAX_RETRY_S)

    async def fetch(self) -> dict[str, jwt.PyJWK]:
        """Return the usable keys at the URL, by kid.

        Raise errors of the network, TLS and httpx, InvalidRequest and ValueError.
        """
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            document = await self._download()
        return await asyncio.to_thread(jwk.parse_key_set, document)

    async def _download(self) -> bytes:
        """Return the content at the URL, without redirects and decompression."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        document = bytearray()
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"the issuer responds with {response.status_code}")
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > MAX_BYTES:
                    raise ValueError(f"the response is longer than {MAX_BYTES} bytes")
        return bytes(document)

    def _create_unavailable(self) -> Unavailable:
        wait_s = math.ceil(self._next_fetch_at - self._clock())
        return Unavailable(
            "The keys of the issuer cannot be fetched. Try again in a moment.", retry_after_s=max(wait_s, 1)
        )
