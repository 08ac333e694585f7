"""Disks that are full, fail or are read-only, and servers with an SQLite file on them."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.contract_checks import open_client
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user

SIZE_BYTES = 16 * 1024 * 1024  # more than the write-ahead log has when SQLite empties it


@contextmanager
def serving(folder: Path, file: Path) -> Iterator[tuple[Server, User]]:
    """Start a server with the database `file`, and create a user with tasks."""
    with run_server(folder, **settings(file)) as server, open_client(server.url) as http:
        ada = new_user(http)
        for number in range(5):  # so that the log is shorter than the written data
            ada.create_task(f"Buy milk {number}")
        yield server, ada


def settings(file: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{file}", "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "off"}


class FullDisk:
    """A small disk that the test fills."""

    def __init__(self, file: Path) -> None:
        self._ballast = file.with_name("ballast")

    def fail(self, server: Server) -> None:
        self.leave(server, 0)

    def leave(self, _server: Server, size_bytes: int) -> None:
        """Leave this many free bytes."""
        free_bytes = shutil.disk_usage(self._ballast.parent).free
        self._ballast.write_bytes(bytes(free_bytes - size_bytes))

    def recover(self, _server: Server) -> None:
        self._ballast.unlink(missing_ok=True)


class FailingDisk:
    """A disk on which this process cannot write beyond the current size of a file."""

    def __init__(self, file: Path) -> None:
        self._log = file.with_name(f"{file.name}-wal")

    def fail(self, server: Server) -> None:
        self.leave(server, 0)

    def leave(self, server: Server, size_bytes: int) -> None:
        """Leave this many free bytes."""
        limit_to(server, self._log.stat().st_size + size_bytes)

    def recover(self, server: Server) -> None:
        limit_to(server, resource.RLIM_INFINITY)


def limit_to(server: Server, size_bytes: int) -> None:
    """Let the server write no file longer than that."""
    if sys.platform != "linux":
        pytest.skip("needs Linux, to limit a process that runs")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """`folder` as a disk of its own. Skips the test where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def volume(folder: Path) -> Iterator[Path]:
    """`folder`, which `write_protect` can make read-only, even for root."""
    if os.geteuid() == 0:
        with mounted(folder):
            yield folder
    else:
        yield folder
        write_protect(folder, is_on=False)


def write_protect(folder: Path, *, is_on: bool) -> None:
    """Let nothing in `folder` be written, or everything again. No file there may be open for writing."""
    if os.geteuid() == 0:
        subprocess.run(["mount", "-o", f"remount,{'ro' if is_on else 'rw'}", folder], check=True)
        return
    folder.chmod(0o555 if is_on else 0o755)
    for file in folder.iterdir():
        file.chmod(0o444 if is_on else 0o644)
