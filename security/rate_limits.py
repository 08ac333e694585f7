"""Rate limits by network, account and user."""

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
SHARED_TIMEOUT_S = 0.5
RETRY_S = 2  # between two attempts to reach the shared counts while they are away
SWEEP_INTERVAL_S = 10

Key = tuple[str, ...]
"""The name of the limit, then who is counted: `("api", "user", "ada")`."""

_REJECTIONS = Counter("todo_rate_limit_refusals", "Requests rejected by a rate limit.", ("limit",))
_AWAY = Gauge(
    "todo_rate_limit_storage_away",
    "1 while a process cannot reach the shared counts, and counts for itself.",
    multiprocess_mode="livemax",
)


class Windows:
    """The counts of this process. A window begins with its first request.

    The library's own storage visits every key at each hit: 76 µs with 1000 users, 1600 µs with 20,000.
    """

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._ends: dict[Key, float] = {}
        self._next_sweep = 0.0

    def hit(self, rate: RateLimitItem, key: Key) -> float | None:
        """Count one request. Return the seconds until the window ends if the limit is exhausted."""
        now = time.monotonic()  # a limit must not last longer because the clock is set back
        if now >= self._next_sweep:
            self._sweep(now)
        if self._ends.get(key, now) <= now:
            self._counts[key], self._ends[key] = 0, now + rate.get_expiry()
        self._counts[key] += 1
        return self._ends[key] - now if self._counts[key] > rate.amount else None

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + SWEEP_INTERVAL_S
        for key in [key for key, end in self._ends.items() if end <= now]:
            del self._counts[key], self._ends[key]


class RateLimits:
    """Counts requests for each limit, in this process or, in a Redis, for all servers.

    A rate is `10/minute` or `5/2 seconds`; its window begins with the first request. While the Redis is
    unreachable, each process counts for itself, and no request fails.
    """

    def __init__(self, rates: Mapping[str, str], storage: str) -> None:
        self._rates = {name: parse(rate) for name, rate in rates.items()}
        for name in rates:
            _REJECTIONS.labels(name)  # so that the metric exists before the first rejection
        self._own = Windows()
        self._shared = None if storage == MEMORY else FixedWindowRateLimiter(_create_redis(storage))
        self._is_unreachable = False
        self._next_try = 0.0

    async def hit(self, name: str, *counted: str, times: int = 1) -> None:
        """Count one request of a user, an account or a network for `times` the limit `name`.

        Raise TooManyRequests.
        """
        rate = self._rates[name]
        if times > 1:
            rate = type(rate)(rate.amount * times, rate.multiples)
        remaining_s = await self._hit(rate, (name, *counted))
        if remaining_s is not None:
            _REJECTIONS.labels(name).inc()
            window_s = rate.get_expiry()
            wait_s = math.ceil(remaining_s + 0.5)  # 0.5, because Redis rounds to whole seconds
            wait_s = min(max(wait_s, 1), window_s)
            raise TooManyRequests(name, count=rate.amount, window_s=window_s, wait_s=wait_s)

    async def check_storage(self) -> None:
        """Raise StorageError, TimeoutError or OSError if the shared counts cannot be read."""
        if self._shared is not None:
            async with asyncio.timeout(SHARED_TIMEOUT_S):
                await self._shared.storage.get("check")

    async def _hit(self, rate: RateLimitItem, key: Key) -> float | None:
        if self._shared is not None and time.monotonic() >= self._next_try:
            try:
                return await self._hit_shared(self._shared, rate, key)
            except (StorageError, TimeoutError, OSError) as error:
                self._record_failure(error)
        return self._own.hit(rate, key)

    async def _hit_shared(
        self, limiter: FixedWindowRateLimiter, rate: RateLimitItem, key: Key
    ) -> float | None:
        """Count the request in the Redis, like Windows.hit."""
        if self._is_unreachable:  # one request tries to connect, the others do not wait
            self._next_try = time.monotonic() + RETRY_S
        async with asyncio.timeout(SHARED_TIMEOUT_S):
            is_allowed = await limiter.hit(rate, *key)
            stats = None if is_allowed else await limiter.get_window_stats(rate, *key)
        if self._is_unreachable:
            self._is_unreachable, self._next_try = False, 0.0
            _AWAY.set(0)
            log.info("the rate limits are shared again")
        return None if stats is None else stats.reset_time - time.time()

    def _record_failure(self, error: Exception) -> None:
        self._next_try = time.monotonic() + RETRY_S
        if not self._is_unreachable:
            self._is_unreachable = True
            _AWAY.set(1)
            log.warning(
                "RATE_LIMIT_STORAGE is unreachable: each process counts for itself",
                extra={"cause": repr(error)},
            )


def _create_redis(url: str) -> Storage:
    # Imported late: 55 ms and 7 MB, which a server without Redis does not need.
    from limits.aio.storage import RedisStorage  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="todo",
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        socket_timeout=SHARED_TIMEOUT_S,
        socket_connect_timeout=SHARED_TIMEOUT_S,
    )
