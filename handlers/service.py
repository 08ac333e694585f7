"""Health, metrics and the contract."""

import asyncio

from contract.operation import Response
from handlers.context import database, services
from observability import metrics as figures
from persistence import schema


async def live() -> Response:
    """Return that the process is alive."""
    return {"status": "live"}, 200, {}


async def ready() -> Response:
    """Return that the database is reachable and has the required schema. Raise Unavailable."""
    await schema.check(database())
    return {"status": "ready"}, 200, {"Cache-Control": "no-store"}


async def metrics() -> Response:
    """Return the metrics of all workers."""
    return await asyncio.to_thread(figures.text), 200, {}  # with many workers it takes its time


async def contract() -> Response:
    """Return the contract as JSON."""
    return services().contract_json, 200, {}
