"""The systems that are compared: ours as `python -m cli serve` runs it, the peers by uvicorn alone."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data import SECRET
from tests.support.server import COMMAND, Server, find_free_port, run_server

OURS, OURS_ON_SQLITE = "todo", "todo_sqlite"
PEERS = ("fastapi_sqlmodel", "fastapi_tuned", "bare", "bare_pq")

# As fast as uvicorn goes: ours has the same loop and parser, and its own log of requests besides.
UVICORN = ("--loop=uvloop", "--http=httptools", "--ws=none", "--no-access-log", "--log-level=warning")

# Ours logs each request, as in production, to a file; the peers have no such log.
SETTINGS = {"BETTER_AUTH_SECRET": SECRET, "LOG_LEVEL": "INFO", "RATE_LIMIT": "off"}


@contextmanager
def serving(system: str, database_url: str, folder: Path, **more: str) -> Iterator[Server]:
    """One system, with one worker unless `more` says otherwise."""
    settings = SETTINGS | {"DATABASE_URL": database_url, "PORT": str(find_free_port())} | more
    command = COMMAND if system in {OURS, OURS_ON_SQLITE} else _peer(system, settings)
    with run_server(folder, command, **settings) as server:
        yield server


def _peer(name: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    app = f"benchmarks.peers.{name}:app"
    return (sys.executable, "-m", "uvicorn", app, f"--port={settings['PORT']}", *UVICORN)
