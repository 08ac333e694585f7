"""Is the server well, and what does it promise?"""

import asyncio

from contract.replies import Reply
from handlers.context import database, services
from observability import metrics as figures
from persistence import schema


async def live() -> Reply:
    """The process answers."""
    return {"status": "live"}, 200, {}


async def ready() -> Reply:
    """The database answers and has the right schema."""
    await schema.check(database())
    return {"status": "ready"}, 200, {"Cache-Control": "no-store"}


async def metrics() -> Reply:
    """The figures of all workers."""
    return await asyncio.to_thread(figures.text), 200, {}  # with many workers it takes its time


async def contract() -> Reply:
    """The contract as it was loaded."""
    return services().contract_json, 200, {}
