"""Bounds the tasks and the stored responses of a user."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Integer, Select, bindparam, func, select

from contract.problems import TooManyTasks
from persistence.database import Transaction
from persistence.tables import idempotency_keys, tasks

COUNT_EVERY = 256  # creates of a user, because a count of 100,000 rows takes 10 ms
SMALL = 1000  # a limit below this is counted for every create
FULL_S = 1  # how long a user stays rejected without another count
MAX_USERS = 4096  # in memory


def _create_count(column: Column[Any], owner: Column[Any]) -> Select[Any]:
    """Return a count that ends after `at_most` rows."""
    rows = select(column).where(owner == bindparam("owner")).limit(bindparam("at_most", type_=Integer))
    return select(func.count().label("count")).select_from(rows.subquery())


_COUNT_TASKS = _create_count(tasks.c.id, tasks.c.user_id)
_COUNT_KEYS = _create_count(idempotency_keys.c.key, idempotency_keys.c.user_id)


class Quota:
    """The maximum number of tasks of a user, and of stored responses.

    A process counts at the first create of a user and then at every COUNT_EVERYth, so that each process may
    exceed the limit by COUNT_EVERY.
    """

    def __init__(self, max_tasks: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_tasks = max_tasks
        self._clock = clock
        self._uncounted: dict[str, int] = {}
        self._full_until: dict[str, float] = {}

    async def check(self, db: Transaction, owner: str) -> None:
        """Raise TooManyTasks if `owner` may not create another task."""
        if self._full_until.get(owner, 0) > self._clock():
            raise TooManyTasks(self._max_tasks)
        uncounted = self._uncounted.get(owner, COUNT_EVERY) + 1
        if self._max_tasks < SMALL or uncounted > COUNT_EVERY:
            await self._count(db, owner)
            uncounted = 0
        _remember(self._uncounted, owner, uncounted)

    async def _count(self, db: Transaction, owner: str) -> None:
        parameters = {"owner": owner, "at_most": self._max_tasks + 1}
        stored = await db.fetch_one(_COUNT_TASKS, parameters)
        keys = await db.fetch_one(_COUNT_KEYS, parameters)  # with the key of this request
        assert stored is not None
        assert keys is not None
        if stored.count >= self._max_tasks or keys.count > self._max_tasks:
            _remember(self._full_until, owner, self._clock() + FULL_S)
            self._uncounted.pop(owner, None)
            raise TooManyTasks(self._max_tasks)


def _remember(users: dict[str, Any], owner: str, value: Any) -> None:
    """Set the value of `owner`. Drop the oldest user if there are too many."""
    if owner not in users and len(users) >= MAX_USERS:
        del users[next(iter(users))]
    users[owner] = value
