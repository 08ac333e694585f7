"""Checks passwords and hashes them with bcrypt in a bounded pool of threads (OWASP ASVS 6.2)."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import bcrypt
from prometheus_client import Counter as CounterMetric
from prometheus_client import Gauge

from contract.problems import CommonPassword, LongPassword, Unavailable

T = TypeVar("T")

ROUNDS = 12  # about 235 ms on one core
MAX_BYTES = 72  # bcrypt ignores further bytes, so that two passwords could be equal
# Half of the cores, so that many logins leave the others to the other requests.
THREADS = max(1, (os.cpu_count() or 1) // 2)
MAX_WAITING = 16 * THREADS  # about 4 s of waiting, then 503
MAX_SHARE = 10 * THREADS  # of one network, so that a storm from there leaves places to others

_RUNNING = Gauge("todo_bcrypt_running", "Passwords being hashed.", multiprocess_mode="livesum")
_WAITING = Gauge("todo_bcrypt_waiting", "Passwords waiting for a thread.", multiprocess_mode="livesum")
_REJECTIONS = CounterMetric("todo_bcrypt_refusals", "Requests rejected because too many passwords wait.")


class Passwords:
    """Hashes and compares, THREADS at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bcrypt")
        self._unfinished = 0
        self._by_network: Counter[str] = Counter()

    def prepare(self) -> None:
        """Create the hash that a login with an unknown email is compared with.

        The app calls this at startup if the server has accounts.
        """
        self._no_account = self._threads.submit(_hash, os.urandom(16).hex().encode())

    async def hash(self, password: str, *, network: str = "") -> str:
        """Return the bcrypt hash. Raise LongPassword, CommonPassword, and Unavailable if too many wait."""
        encoded = password.encode()
        if len(encoded) > MAX_BYTES:
            raise LongPassword(MAX_BYTES)
        if password.lower() in _load_common_passwords():
            raise CommonPassword
        return (await self._run(partial(_hash, encoded), network)).decode()

    async def matches(self, password: str, password_hash: str | None, *, network: str) -> bool:
        """Return whether the password matches the hash. None never matches, in equal time."""
        encoded = password.encode()
        known = password_hash.encode() if password_hash else await asyncio.wrap_future(self._no_account)
        is_equal = await self._run(partial(bcrypt.checkpw, encoded[:MAX_BYTES], known), network)
        return is_equal and password_hash is not None and len(encoded) <= MAX_BYTES

    async def _run(self, work: Callable[[], T], network: str) -> T:
        if self._unfinished >= MAX_WAITING + THREADS or self._by_network[network] >= MAX_SHARE:
            _REJECTIONS.inc()
            raise Unavailable("Too many are logging in. Try again in a moment.", retry_after_s=5)
        self._count(+1, network)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._count(-1, network)

    def _count(self, more: int, network: str) -> None:
        self._unfinished += more
        self._by_network[network] += more
        if not self._by_network[network]:
            del self._by_network[network]
        _RUNNING.set(min(self._unfinished, THREADS))
        _WAITING.set(max(self._unfinished - THREADS, 0))

    def close(self) -> None:
        """Stop the threads after their current hash."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hash(password: bytes) -> bytes:
    return bcrypt.hashpw(password, bcrypt.gensalt(ROUNDS))


@cache
def _load_common_passwords() -> frozenset[str]:
    """Return the 30,000 most used passwords in lower case, read on the first sign-up."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - imported late: 50 ms and 12 MB

    return frozenset(FREQUENCY_LISTS["passwords"])
