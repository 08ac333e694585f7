"""The tasks of one user. The token is that user's by the time a function here is called."""

from typing import Any
from urllib.parse import quote, urlencode

from contract.replies import Reply
from handlers import representations
from handlers.context import database, now, services
from persistence import task_pages, tasks


async def create(user_id: str, body: dict[str, Any]) -> Reply:
    """Create a task."""
    row = await tasks.create(
        database(),
        user_id,
        title=body["title"],
        description=body.get("description"),
        completed=body.get("completed", False),
        now=now(),
        provision=services().issuer is None,
    )
    return representations.task(row), 201, {"Location": f"{_path(user_id)}/{row.id}"}


async def get(user_id: str, task_id: int) -> Reply:
    """Read one task."""
    return representations.task(await tasks.get(database(), user_id, task_id)), 200, {}


async def put(user_id: str, task_id: int, body: dict[str, Any]) -> Reply:
    """Replace the title; description and completed keep their value when they are left out."""
    return await patch(user_id, task_id, body)


async def patch(user_id: str, task_id: int, body: dict[str, Any]) -> Reply:
    """Change the named fields."""
    row = await tasks.update_fields(database(), user_id, task_id, changes=body, now=now())
    return representations.task(row), 200, {}


async def complete(user_id: str, task_id: int, body: dict[str, Any] | None) -> Reply:
    """Set `completed`, or toggle it when the body does not say."""
    completed = (body or {}).get("completed")
    row = await tasks.complete(database(), user_id, task_id, completed=completed, now=now())
    return representations.task(row), 200, {}


async def delete(user_id: str, task_id: int) -> Reply:
    """Delete a task."""
    await tasks.remove(database(), user_id, task_id)
    return None, 204, {}


async def list(  # noqa: A001 - the contract's name for it
    user_id: str, status: str, sort: str, order: str | None, limit: int, cursor: str | None
) -> Reply:
    """List a page, with a Link to the next where there is one (RFC 8288)."""
    page = await task_pages.get(
        database(), user_id, status=status, sort=sort, order=order, limit=limit, cursor=cursor
    )
    headers = {}
    if page.next_cursor is not None:
        chosen = {"status": status, "sort": sort, "order": order, "limit": limit, "cursor": page.next_cursor}
        query = urlencode({name: value for name, value in chosen.items() if value is not None})
        headers["Link"] = f'<{_path(user_id)}?{query}>; rel="next"'
    return [representations.task(row) for row in page.rows], 200, headers


def _path(user_id: str) -> str:
    return f"/api/{quote(user_id, safe='')}/tasks"
