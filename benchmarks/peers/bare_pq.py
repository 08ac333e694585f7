"""`bare` on this project's executor: what is left beside it is the driver's share of our lead, or of our lag.

In its favour: what is in bare's, without a deadline that is ever near.
"""

import asyncio
import hashlib
import os
from functools import cache
from itertools import count
from typing import Any

from starlette.applications import Starlette

from benchmarks.peers import bare
from persistence.postgresql_pool import Pool
from persistence.statements import Compiled

pool = Pool(os.environ["DATABASE_URL"])


@cache
def compiled(statement: str) -> Compiled:
    numbers = count(1)
    sql = "".join(part + (f"${next(numbers)}" if more else "") for part, more in split(statement))
    digest = hashlib.sha256(sql.encode()).hexdigest()[:32].encode()
    columns = tuple(bare.TASK.split(", "))
    return Compiled(sql, digest, is_read=True, names=(), constants={}, to_database={}, columns=columns,
                    from_database=[], row=tuple)  # fmt: skip


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
