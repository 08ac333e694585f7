"""Removes expired rows: stored responses and sessions."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from contract.problems import Unavailable
from persistence import idempotency, sessions
from persistence.database import Database

log = logging.getLogger("todo.expiry")

SWEEP_EVERY_S = 3600


async def sweep_forever(db: Database, clock: Callable[[], datetime]) -> None:
    """Remove expired rows, now and every hour."""
    while True:
        try:
            for sweep in (idempotency.sweep, sessions.sweep):
                while await sweep(db, clock()):
                    pass
        except Unavailable as unavailable:
            log.warning("expired rows are not removed: %s", unavailable.__cause__)
        except Exception:
            log.exception("expired rows are not removed")
        await asyncio.sleep(SWEEP_EVERY_S)
