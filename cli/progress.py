"""Work that takes long: a bar for whoever watches, and turns for whoever else needs the database."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


async def taking_turns(work: Awaitable[T]) -> T:
    """What `work` gives, and as long a rest as it took.

    SQLite does not queue who waits for its lock: without the rest a server might never get it.
    """
    began = time.monotonic()
    given = await work
    await asyncio.sleep(time.monotonic() - began)
    return given


@contextmanager
def bar(what: str, total: int | None, *, is_wanted: bool = True) -> Iterator[Callable[[int], object]]:
    """A progress bar on standard error, where that is a terminal; call what it gives with each advance."""
    if not is_wanted or not sys.stderr.isatty():
        yield lambda _count: None
        return
    # 60 ms that a command without a bar does not need.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
