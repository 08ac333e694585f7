"""The tasks of one user. The gate has already compared the token with `user_id`."""

from functools import lru_cache
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from contract import entity_tags, strict_json
from contract.operation import Response
from handlers.context import get_database, get_services, now
from persistence import removals, representations, task_pages, tasks
from persistence.idempotency import StoredResponse
from persistence.tables import TaskRow

# With updated_at, because a restored backup repeats versions.
_get_state = attrgetter("id", "version", "updated_at")


async def create(user_id: str, body: dict[str, Any], idempotency_key: str | None) -> Response:
    """Create a task. With an Idempotency-Key, create one task for any number of retries."""
    created = await tasks.create(
        get_database(),
        user_id,
        body,
        key=idempotency_key,
        render=_render_created,
        quota=get_services().quota,
        may_insert_owner=get_services().issuer is None,
        now=now(),
    )
    return created.content, 201, created.headers


async def get(user_id: str, task_id: int, if_none_match: str | None) -> Response:
    """Return one task, or 304 if the client has the current version."""
    row = await tasks.get(get_database(), user_id, task_id)
    if entity_tags.is_current(tag := entity_tags.format_version(row.version), if_none_match):
        return None, 304, {"ETag": tag}
    return _respond_with(row)


async def put(user_id: str, task_id: int, body: dict[str, Any], if_match: str | None) -> Response:
    """Replace the title. Keep description and completed if they are absent."""
    return await patch(user_id, task_id, body, if_match)


async def patch(user_id: str, task_id: int, body: dict[str, Any], if_match: str | None) -> Response:
    """Change the named fields."""
    versions = entity_tags.parse_if_match(if_match)
    return _respond_with(
        await tasks.update_fields(
            get_database(), user_id, task_id, versions=versions, changes=body, now=now()
        )
    )


async def complete(user_id: str, task_id: int, body: dict[str, Any] | None, if_match: str | None) -> Response:
    """Set `completed`, or toggle it if it is absent."""
    versions = entity_tags.parse_if_match(if_match)
    completed = (body or {}).get("completed")
    return _respond_with(
        await tasks.complete(
            get_database(), user_id, task_id, versions=versions, completed=completed, now=now()
        )
    )


async def delete(user_id: str, task_id: int, if_match: str | None) -> Response:
    """Delete a task."""
    versions = entity_tags.parse_if_match(if_match)
    await tasks.remove(get_database(), user_id, task_id, versions=versions)
    return None, 204, {}


async def clear(user_id: str, status: str) -> Response:
    """Delete the completed tasks, or all."""
    return {"deleted": await removals.clear(get_database(), user_id, status=status)}, 200, {}


async def list(  # noqa: A001 - the name in the contract
    user_id: str,
    status: str,
    sort: str,
    order: str | None,
    limit: int,
    cursor: str | None,
    if_none_match: str | None,
) -> Response:
    """Return a page of tasks with a Link to the next page (RFC 8288), or 304 if the client has this page."""
    page = await task_pages.get(
        get_database(), user_id, status=status, sort=sort, order=order, limit=limit, cursor=cursor
    )
    headers = {}
    if page.next_cursor is not None:
        chosen = {"status": status, "sort": sort, "order": order, "limit": limit, "cursor": page.next_cursor}
        # No value has a character that has to be encoded.
        query = "&".join(f"{name}={value}" for name, value in chosen.items() if value is not None)
        headers["Link"] = f'<{_format_path(user_id)}?{query}>; rel="next"'
    tag = entity_tags.compute_page_tag(map(_get_state, page.rows), headers.get("Link", ""))
    headers["ETag"] = tag
    if entity_tags.is_current(tag, if_none_match):
        return None, 304, headers
    return map(representations.to_task, page.rows), 200, headers


def _render_created(row: TaskRow) -> StoredResponse:
    headers = {
        "Location": f"{_format_path(row.user_id)}/{row.id}",
        "ETag": entity_tags.format_version(row.version),
    }
    return StoredResponse(strict_json.dumps(representations.to_task(row)), headers)


@lru_cache(maxsize=1024)
def _format_path(user_id: str) -> str:
    return f"/api/{quote(user_id, safe='')}/tasks"


def _respond_with(row: TaskRow) -> Response:
    """Return the task with its version as entity tag."""
    return representations.to_task(row), 200, {"ETag": entity_tags.format_version(row.version)}
