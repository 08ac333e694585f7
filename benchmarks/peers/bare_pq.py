"""`bare` on this project's executor: beside `bare` it shows what the driver takes, beside ours all the rest.

In its favour: the same as for `bare`.
"""

import asyncio
import os
from functools import cache
from itertools import count
from typing import Any

from starlette.applications import Starlette

from benchmarks.peers import bare
from persistence.postgresql_pool import Pool
from persistence.statements import Compiled, compute_digest

pool = Pool(os.environ["DATABASE_URL"], size=10)


@cache
def compiled(statement: str) -> Compiled:
    numbers = count(1)
    sql = "".join(part + (f"${next(numbers)}" if more else "") for part, more in split(statement))
    columns = tuple(bare.TASK.split(", "))
    return Compiled(
        sql,
        compute_digest(sql),
        is_read=True,
        names=(),
        constants={},
        to_database={},
        columns=columns,
        from_database=[],
        row=tuple,
    )


def split(statement: str) -> list[tuple[str, bool]]:
    """Return each part between the parameters, and whether a parameter follows."""
    *parts, last = statement.split("%s")
    return [*((part, True) for part in parts), (last, False)]


async def fetch(statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    dumped = [None if value is None else str(value).encode() for value in values]
    until = asyncio.get_running_loop().time() + 4
    rows, _ = await pool.run(lambda connection: connection.run(compiled(statement), dumped), until=until)
    return list(map(bare.task, rows))


bare.fetch = fetch
app = Starlette(routes=bare.app.routes)
