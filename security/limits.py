"""Rate limits by address, account and user."""

import asyncio
import logging
import math
import time
from collections.abc import Mapping

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from prometheus_client import Counter, Gauge

from contract.problems import TooManyRequests

log = logging.getLogger("todo.limits")

MEMORY = "memory"
SHARED_S = 0.5  # how long the shared counts may keep a request waiting
RETRY_S = 2  # between two tries to reach them, while they are away
SWEEP_S = 10

_REFUSALS = Counter("todo_rate_limit_refusals", "Requests refused by a rate limit.", ("limit",))
_AWAY = Gauge(
    "todo_rate_limit_storage_away",
    "1 while some process cannot reach the shared counts, and counts for itself.",
    multiprocess_mode="livemax",
)


class Counts(Storage):
    """The counts of this process.

    The library's own visits every key at each hit: 76 µs with 1000 users, 1600 µs with 20,000.
    """

    base_exceptions = ValueError

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._ends: dict[str, float] = {}
        self._next_sweep = 0.0

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` and return the count. The first call begins a window of `expiry` seconds."""
        now = time.time()
        if now >= self._next_sweep:
            self._sweep(now)
        if self._ends.get(key, 0) <= now:
            self._counts[key], self._ends[key] = 0, now + expiry
        self._counts[key] += amount
        return self._counts[key]

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + SWEEP_S
        for key in [key for key, end in self._ends.items() if end <= now]:
            del self._counts[key], self._ends[key]

    async def get(self, key: str) -> int:
        """Return the count of a window that has not ended, otherwise 0."""
        return self._counts[key] if self._ends.get(key, 0) > time.time() else 0

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends (Unix time)."""
        return self._ends.get(key, time.time())

    async def check(self) -> bool:
        """Return that the storage is available."""
        return True

    async def reset(self) -> int:
        """Remove all counts, and return how many there were."""
        forgotten = len(self._counts)
        self._counts.clear()
        self._ends.clear()
        return forgotten

    async def clear(self, key: str) -> None:
        """Remove one count."""
        self._counts.pop(key, None)
        self._ends.pop(key, None)


class Limits:
    """Counts requests for each limit, in this process or, in a Redis, for all servers.

    A rate is `10/minute` or `5/2 seconds`; its window begins with the first request. While the Redis is
    unreachable, each process counts for itself, and no request fails.
    """

    def __init__(self, rates: Mapping[str, str], storage: str) -> None:
        self._rates = {name: parse(rate) for name, rate in rates.items()}
        for name in rates:
            _REFUSALS.labels(name)  # 0 is a figure, too
        self._own = FixedWindowRateLimiter(Counts())
        self._shared = None if storage == MEMORY else FixedWindowRateLimiter(_redis(storage))
        self._is_away = False
        self._next_try = 0.0

    async def hit(self, name: str, *whose: str) -> None:
        """Count one request for the limit `name` of `whose`. Raise TooManyRequests."""
        rate = self._rates[name]
        ends_at = await self._used_up_until(rate, name, *whose)
        if ends_at is not None:
            _REFUSALS.labels(name).inc()
            window_s = rate.get_expiry()
            wait_s = math.ceil(ends_at + 0.5 - time.time())  # 0.5: Redis rounds to whole seconds
            wait_s = min(max(wait_s, 1), window_s)
            raise TooManyRequests(name, count=rate.amount, window_s=window_s, wait_s=wait_s)

    async def check_storage(self) -> None:
        """Raise StorageError, TimeoutError or OSError if the shared counts cannot be read."""
        if self._shared is not None:
            async with asyncio.timeout(SHARED_S):
                await self._shared.storage.get("check")

    async def _used_up_until(self, rate: RateLimitItem, *key: str) -> float | None:
        if self._shared is not None and time.monotonic() >= self._next_try:
            try:
                return await self._hit_shared(self._shared, rate, *key)
            except (StorageError, TimeoutError, OSError) as error:
                self._note_away(error)
        return await _hit(self._own, rate, *key)

    async def _hit_shared(
        self, limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str
    ) -> float | None:
        if self._is_away:
            self._next_try = time.monotonic() + RETRY_S  # one request tries, the others do not wait for it
        async with asyncio.timeout(SHARED_S):
            ends_at = await _hit(limiter, rate, *key)
        if self._is_away:
            self._is_away, self._next_try = False, 0.0
            _AWAY.set(0)
            log.info("the rate limits are shared again")
        return ends_at

    def _note_away(self, error: Exception) -> None:
        self._next_try = time.monotonic() + RETRY_S
        if not self._is_away:
            self._is_away = True
            _AWAY.set(1)
            log.warning(
                "RATE_LIMIT_STORAGE is away: each process counts for itself", extra={"cause": repr(error)}
            )


async def _hit(limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> float | None:
    """Return when the window ends (Unix time) if the limit is exhausted."""
    if await limiter.hit(rate, *key):
        return None
    return (await limiter.get_window_stats(rate, *key)).reset_time


def _redis(url: str) -> Storage:
    # 55 ms and 7 MB that a server without one does not need.
    from limits.aio.storage import RedisStorage  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="todo",
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        socket_timeout=SHARED_S,
        socket_connect_timeout=SHARED_S,
    )
