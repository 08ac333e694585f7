"""The server with a leak planted in it: `python -m tests.contract.leaky LEAK serve`.

The product has no such switch; the leak is put in from outside before the server starts, to see that the
attack finds it, and the tests of the wall.
"""

import sys
from typing import Any

from sqlalchemy import Select, bindparam, delete
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

import handlers.tasks
import security.bearer
from cli.__main__ import main
from contract.guard import GuardMiddleware
from contract.replies import Reply
from persistence import task_pages, tasks
from persistence.tables import tasks as table


def lists_forget_the_owner() -> None:
    """GET /api/ada/tasks lists everyone's."""
    for key, statement in task_pages._STATEMENTS.items():
        task_pages._STATEMENTS[key] = _without_owner(statement)


def deletes_forget_the_owner() -> None:
    """DELETE /api/ada/tasks/1 deletes task 1, whose ever it is."""
    tasks._DELETE = delete(table).where(table.c.id == bindparam("task_id")).returning(table.c.id)


def the_hook_believes_the_path() -> None:
    """Any valid token opens any path."""

    async def verify(token: str, request: Request) -> dict[str, Any]:
        claims = await request.state.verifier.verify(token)
        return claims | {"sub": request.path_params["user_id"]}

    security.bearer.verify = verify


def the_hook_forgets_case() -> None:
    """Ada's token opens the path of ADA."""
    strict = security.bearer.verify

    async def verify(token: str, request: Request) -> dict[str, Any]:
        request.scope["path_params"]["user_id"] = request.scope["path_params"]["user_id"].lower()
        return await strict(token, request)

    security.bearer.verify = verify


def bodies_say_whose() -> None:
    """POST /api/ada/tasks with {"user_id": "bob"} makes a task of Bob's."""
    create = handlers.tasks.create

    async def create_for(user_id: str, body: dict[str, Any], idempotency_key: str | None) -> Reply:
        return await create(body.get("user_id", user_id), body, idempotency_key)

    handlers.tasks.create = create_for


def a_header_says_the_method() -> None:
    """GET with X-HTTP-Method-Override: DELETE deletes."""
    guard = GuardMiddleware.__call__

    async def overridden(self: GuardMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        method = Headers(scope=scope).get("x-http-method-override") if scope["type"] == "http" else None
        await guard(self, {**scope, "method": method} if method else scope, receive, send)

    GuardMiddleware.__call__ = overridden


def _without_owner(statement: Select[Any]) -> Select[Any]:
    others = [clause for clause in statement._where_criteria if "user_id" not in str(clause)]
    bare = Select(table).order_by(*statement._order_by_clauses).limit(bindparam("at_most"))
    return bare.where(*others)


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    main()
