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

REFRESH_S = 300  # a key that the issuer has withdrawn is gone this long after
KEPT_S = 24 * 3600  # how long known keys are used while the issuer is away
RETRY_S, MAX_RETRY_S = 2, 30  # between two fetches, however many unknown keys are asked for
FETCH_S = 3
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
        self._tls = httpx.create_ssl_context()  # once: it reads every root certificate
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._next_fetch_at = -math.inf
        self._failures = 0  # since the last fetch that succeeded
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key named `kid`, None if the issuer has no such key.

        A known key is returned at once and refreshed in the background. Only an unknown key, or one that was
        not refreshed for a long time, waits for a fetch. Raise Unavailable if the issuer is unreachable.
        """
        if kid is None:
            return None
        age_s = self._clock() - self._fetched_at
        if age_s > KEPT_S:
            self._keys = {}
        if kid in self._keys and age_s <= REFRESH_S:
            return self._keys[kid]
        fetching = self._fetch_unless_too_early()
        is_outdated = age_s > 2 * REFRESH_S and not self._failures
        if fetching and (is_outdated or kid not in self._keys):
            await asyncio.wait({fetching})  # not cancelled with the request: others wait for it too
        if kid not in self._keys and self._failures:
            raise self._unavailable()
        return self._keys.get(kid)

    def _fetch_unless_too_early(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress or a new one, None too soon after the last."""
        if self._fetching is None or self._fetching.done():
            if self._clock() < self._next_fetch_at:
                return None
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        """Fetch the keys at the URL. Keep the known keys if that fails."""
        began_at = self._clock()
        try:
            self._keys = await self.fetched()
        except Exception as error:  # of the network, of TLS, of the document: none may stop the requests
            self._failures += 1
            _FAILURES.inc()
            log.warning("the key set cannot be fetched", extra={"error": repr(error)})
        else:
            self._failures, self._fetched_at = 0, began_at
            _SUCCESSES.inc()
            _FETCHED_AT.set_to_current_time()
            if not self._keys:
                log.warning("the key set holds no key that can verify tokens")
        doublings = min(max(self._failures - 1, 0), 4)  # 2 s for the first failure, then 4, 8, 16, 30
        self._next_fetch_at = began_at + min(RETRY_S * 2**doublings, MAX_RETRY_S)

    async def fetched(self) -> dict[str, jwt.PyJWK]:
        """Return the usable keys at the URL, by kid.

        Raise what the network, TLS and httpx raise, InvalidRequest and ValueError.
        """
        async with asyncio.timeout(FETCH_S):
            document = await self._download()
        return await asyncio.to_thread(jwk.parse, document)

    async def _download(self) -> bytes:
        """Return the content at the URL, without redirects and decompression."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        document = bytearray()
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"the issuer answers {response.status_code}")
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > MAX_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")
        return bytes(document)

    def _unavailable(self) -> Unavailable:
        wait_s = math.ceil(self._next_fetch_at - self._clock())
        return Unavailable(
            "The keys of the issuer cannot be fetched. Try again in a moment.", retry_after_s=max(wait_s, 1)
        )
