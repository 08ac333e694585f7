"""Runs the real server for a test, as `make run` does, and stops it again."""

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import Connection, Engine, create_engine, make_url, text

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "cli", "serve")


@dataclass
class Server:
    """A running server: where it answers, its process, what it has logged."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path
    settings: dict[str, str] = field(repr=False)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    @contextlib.contextmanager
    def database(self) -> Iterator[Connection]:
        """A connection to its database, past the server; each statement is kept at once."""
        engine = engine_of(self.settings["DATABASE_URL"])
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA foreign_keys = ON"))
            yield connection
        engine.dispose()

    def kill(self) -> None:
        """End it as a power failure would, without a chance to finish anything."""
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)


@contextlib.contextmanager
def running(folder: Path, command: tuple[str, ...] = COMMAND, **settings: str) -> Iterator[Server]:
    """A server with these settings (PORT=... and so on) that answers, in `folder`."""
    server = start(folder, command, **settings)
    try:
        yield wait_until_live(server)
    finally:
        if server.process.poll() is None:
            server.stop()


def start(folder: Path, command: tuple[str, ...] = COMMAND, **settings: str) -> Server:
    """The same, not waiting for it to answer. The caller ends it. Rate limits are off unless asked for."""
    settings = {"PORT": str(free_port()), "RATE_LIMIT": "off"} | settings
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | settings
    log_file = folder / f"server-{secrets.token_hex(4)}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    return Server(f"http://127.0.0.1:{settings['PORT']}", process, log_file, settings)


def wait_until_live(server: Server, *, path: str = "/health/live", timeout_s: float = 30) -> Server:
    """The server once `path` is 200. Raises RuntimeError with its log when it ends or takes too long."""
    deadline = time.monotonic() + timeout_s
    with httpx.Client(base_url=server.url, timeout=5, verify=False) as http:  # 33 ms for certificates, saved
        while time.monotonic() < deadline and server.process.poll() is None:
            try:
                if http.get(path).status_code == 200:
                    return server
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the server does not answer:\n{server.log}")


def engine_of(database_url: str) -> Engine:
    """To the database of a setting DATABASE_URL."""
    url = make_url(database_url)
    driver = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return create_engine(url.set(drivername=driver), isolation_level="AUTOCOMMIT")


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether it becomes true in that time."""
    deadline = time.monotonic() + within_s
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def free_port() -> int:
    """A port that nothing has now, and that no outgoing connection is given meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)  # below the ephemeral ports of Linux, macOS and Windows
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
