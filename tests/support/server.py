"""Start the real server for a test, as `make run` does, and stop it again."""

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

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "cli", "serve")


@dataclass
class Server:
    """A server process, its URL, the file of its log and the settings that it was started with."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path
    settings: dict[str, str] = field(repr=False)

    @property
    def log(self) -> str:
        """The log, once the server writes no more: a record may follow its response by 10 ms."""
        size = -1
        deadline = time.monotonic() + 1
        while size != (size := self.log_file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.log_file.read_text(encoding="utf-8")

    @contextlib.contextmanager
    def database(self) -> Iterator[Connection]:
        """Connect to the server's database directly; each statement commits at once."""
        engine = open_engine(self.settings["DATABASE_URL"])
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA foreign_keys = ON"))
            yield connection
        engine.dispose()

    def kill(self) -> None:
        """Send SIGKILL and wait for the end of the process."""
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> None:
        """Send SIGTERM and wait for the end of the process."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)


@contextlib.contextmanager
def run_server(folder: Path, command: tuple[str, ...] = COMMAND, **settings: str) -> Iterator[Server]:
    """Run a server with these settings (PORT=... and so on) in `folder`, and wait until it is live."""
    server = start_server(folder, command, **settings)
    try:
        yield wait_until_live(server)
    finally:
        if server.process.poll() is None:
            server.stop()


def start_server(folder: Path, command: tuple[str, ...] = COMMAND, **settings: str) -> Server:
    """Start a server and return at once; the caller ends it. Rate limits are off unless `settings` say so."""
    settings = {"PORT": str(find_free_port()), "RATE_LIMIT": "off"} | settings
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | settings
    log_file = folder / f"server-{secrets.token_hex(4)}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    return Server(f"http://127.0.0.1:{settings['PORT']}", process, log_file, settings)


def wait_until_live(server: Server, *, path: str = "/health/live", timeout_s: float = 30) -> Server:
    """Return the server once `path` is 200. Raise RuntimeError with its log when it ends or is too slow."""
    deadline = time.monotonic() + timeout_s
    # verify=False: loading the certificates would take 33 ms.
    with httpx.Client(base_url=server.url, timeout=5, verify=False) as http:
        while time.monotonic() < deadline and server.process.poll() is None:
            try:
                if http.get(path).status_code == 200:
                    return server
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the server does not answer:\n{server.log}")


def open_engine(database_url: str) -> Engine:
    """Return an engine for the database of a setting DATABASE_URL, in autocommit mode."""
    url = make_url(database_url)
    driver = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return create_engine(url.set(drivername=driver), isolation_level="AUTOCOMMIT")


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Return whether `condition` becomes true within that time."""
    deadline = time.monotonic() + within_s
    while not (is_true := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_true


def find_free_port() -> int:
    """Return a port that nothing listens on, outside the range of outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)  # below the ephemeral ports of Linux, macOS and Windows
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
