"""The server with a leak planted in it: `python -m tests.contract.leaky LEAK serve`.

The product has no such switch; the leak is put in from outside before the server starts, to see that the
attack finds it.
"""

import sys
from typing import Any

from sqlalchemy import Select, bindparam, delete
from starlette.requests import Request

import cli
import security.bearer
from persistence import task_pages, tasks
from persistence.tables import tasks as table


def lists_forget_the_owner() -> None:
    """GET /api/ada/tasks lists everyone's."""
    for key, statement in task_pages._STATEMENTS.items():
        task_pages._STATEMENTS[key] = _without_owner(statement)


def deletes_forget_the_owner() -> None:
    """DELETE /api/ada/tasks/1 deletes task 1, whose ever it is."""
    tasks._DELETE = delete(table).where(table.c.id == bindparam("task_id"))


def the_hook_believes_the_path() -> None:
    """Any valid token opens any path."""

    async def verify(token: str, request: Request) -> dict[str, Any]:
        claims = await request.state.verifier.verify(token)
        return claims | {"sub": request.path_params["user_id"]}

    security.bearer.verify = verify


def _without_owner(statement: Select[Any]) -> Select[Any]:
    others = [clause for clause in statement._where_criteria if "user_id" not in str(clause)]
    bare = Select(table).order_by(*statement._order_by_clauses).limit(bindparam("at_most"))
    return bare.where(*others)


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    cli.main()
