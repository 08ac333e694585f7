"""A real Redis for a test: on a free port of 127.0.0.1, in memory only, to be killed, frozen and started."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support import programs
from tests.support.server import eventually, find_free_port

PASSWORD = "canary-of-the-counts"  # in the URL; no log may contain it


class Redis:
    """A Redis at one address, there or away as a test wants it."""

    def __init__(self, folder: Path) -> None:
        self.port = find_free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)
        self._log_file = folder / f"redis-{self.port}.log"
        self._program = programs.needed("redis-server", "valkey-server", package="redis-server")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start an empty Redis and wait until it responds. Raise RuntimeError with its log otherwise."""
        address = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD]
        nothing_kept = ["--save", "", "--appendonly", "no"]
        with self._log_file.open("wb") as log:
            command = [self._program, *address, *nothing_kept]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._log_file.parent)
        if not eventually(self._answers, within_s=10):
            raise RuntimeError(f"Redis does not answer:\n{self._log_file.read_text()}")

    def kill(self) -> None:
        """End it at once, frozen or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def freeze(self) -> None:
        """Stop its process (SIGSTOP). Connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def take_nothing_more(self) -> None:
        """Make every write an error, as when its memory is used up."""
        self.client.config_set("maxmemory", 1)

    def take_all(self) -> None:
        """The opposite."""
        self.client.config_set("maxmemory", 0)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


@contextlib.contextmanager
def absent(folder: Path) -> Iterator[Redis]:
    """A Redis that is not there until it is started; ended in the end."""
    server = Redis(folder)
    try:
        yield server
    finally:
        server.client.close()
        server.kill()


@contextlib.contextmanager
def run_redis(folder: Path) -> Iterator[Redis]:
    """Start a Redis."""
    with absent(folder) as server:
        server.start()
        yield server
