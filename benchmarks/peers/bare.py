"""The lower limit: Starlette and psycopg without tokens, validation and logs.

In its favour: no token is read, nothing is validated, no log, no header but those of HTTP, a pool that is not
asked whether its connections live, statements prepared on the server, no next page. Without Starlette, as a
plain ASGI function, it would take another 20 to 30 µs less.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TASK = "id, user_id, title, description, completed, created_at, updated_at, version"
GET = f"SELECT {TASK} FROM tasks WHERE user_id = %s AND id = %s"
LIST = f"SELECT {TASK} FROM tasks WHERE user_id = %s ORDER BY created_at DESC, id DESC LIMIT %s"
CREATE = f"""
INSERT INTO tasks (user_id, title, description, completed, created_at, updated_at)
VALUES (%s, %s, %s, false, now(), now()) RETURNING {TASK}
"""
COMPLETE = f"""
UPDATE tasks SET completed = NOT completed, updated_at = greatest(updated_at, now()), version = version + 1
WHERE user_id = %s AND id = %s RETURNING {TASK}
"""

pool = AsyncConnectionPool(
    os.environ["DATABASE_URL"],
    kwargs={"autocommit": True},
    min_size=10,
    max_size=10,
    open=False,
)


async def live(_request: Request) -> Response:
    return Response()


async def list_tasks(request: Request) -> Response:
    values = (request.path_params["user_id"], int(request.query_params["limit"]))
    return answer(await fetch(LIST, values))


async def create_task(request: Request) -> Response:
    body = orjson.loads(await request.body())
    values = (request.path_params["user_id"], body["title"], body.get("description"))
    return answer((await fetch(CREATE, values))[0], 201)


async def get_task(request: Request) -> Response:
    path = request.path_params
    return answer((await fetch(GET, (path["user_id"], int(path["task_id"]))))[0])


async def complete_task(request: Request) -> Response:
    path = request.path_params
    return answer((await fetch(COMPLETE, (path["user_id"], int(path["task_id"]))))[0])


async def fetch(statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    connection = await pool.getconn()
    try:
        rows = await (await connection.execute(statement, values)).fetchall()
    finally:
        await pool.putconn(connection)
    return list(map(task, rows))


def task(row: tuple[Any, ...]) -> dict[str, Any]:
    number, user_id, title, description, completed, created_at, updated_at, version = row
    return {
        "id": number,
        "user_id": user_id,
        "title": title,
        "description": description,
        "completed": completed,
        "created_at": created_at,
        "updated_at": updated_at,
        "version": version,
    }


def answer(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, media_type="application/json")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    async with pool:
        yield


app = Starlette(
    routes=[
        Route("/api/{user_id}/tasks/{task_id}", get_task),
        Route("/api/{user_id}/tasks", list_tasks),
        Route("/api/{user_id}/tasks", create_task, methods=["POST"]),
        Route("/api/{user_id}/tasks/{task_id}/complete", complete_task, methods=["PATCH"]),
        Route("/health/live", live),
    ],
    lifespan=lifespan,
)
