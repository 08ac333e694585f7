"""Start the server with a planted leak: `python -m tests.ecosystem.leaky_server LEAK serve`.

The product has no such switch: the leak replaces a statement or a function before the server starts.
"""

import sys
from typing import Any

from sqlalchemy import Select, bindparam, delete

import security.bearer
from cli.__main__ import main
from contract.request import Request
from persistence import task_pages, tasks
from persistence.tables import tasks as table


def lists_forget_the_owner() -> None:
    """Return the tasks of all users from GET /api/ada/tasks."""
    for key, statement in task_pages._STATEMENTS.items():
        task_pages._STATEMENTS[key] = _without_owner(statement)


def deletes_forget_the_owner() -> None:
    """Delete task 1 on DELETE /api/ada/tasks/1, also when it is another user's."""
    tasks._DELETE = delete(table).where(table.c.id == bindparam("task_id")).returning(table.c.id)


def the_hook_believes_the_path() -> None:
    """Accept any valid token on every path."""

    async def verify(token: str, request: Request) -> dict[str, Any]:
        await request.scope["state"]["verifier"].verify(token)
        return {"sub": request.path_arguments["user_id"]}

    security.bearer.verify = verify


def _without_owner(statement: Select[Any]) -> Select[Any]:
    others = [clause for clause in statement._where_criteria if "user_id" not in str(clause)]
    bare = Select(table).order_by(*statement._order_by_clauses).limit(bindparam("at_most"))
    return bare.where(*others)


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    main()
