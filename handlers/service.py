"""Health, metrics and the contract."""

import asyncio

from contract.operation import Response
from handlers.context import get_database, get_services
from observability.metrics import render_metrics
from persistence import schema


async def live() -> Response:
    """Return that the process is alive."""
    return {"status": "live"}, 200, {}


async def ready() -> Response:
    """Return that the database is reachable and has the required schema. Raise Unavailable."""
    await schema.check(get_database())
    return {"status": "ready"}, 200, {"Cache-Control": "no-store"}


async def metrics() -> Response:
    """Return the metrics of all workers."""
    return await asyncio.to_thread(render_metrics), 200, {}  # it reads a file for each worker


async def contract() -> Response:
    """Return the contract as JSON."""
    return get_services().contract_json, 200, {}
