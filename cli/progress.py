"""A progress bar for long work, and pauses that let other processes use the database."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


async def run_with_pause(work: Awaitable[T]) -> T:
    """Return what `work` returns, after a pause as long as `work` took.

    SQLite has no queue for its lock. Without the pause a server might never acquire the lock.
    """
    started = time.monotonic()
    result = await work
    await asyncio.sleep(time.monotonic() - started)
    return result


@contextmanager
def show_progress(
    what: str, total: int | None, *, is_wanted: bool = True
) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on standard error if it is a terminal. Yield the function that advances it."""
    if not is_wanted or not sys.stderr.isatty():
        yield lambda _count: None
        return
    # Imported late: it takes 60 ms, which a command without a bar does not need.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
