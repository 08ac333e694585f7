"""Run the command line for a test: in this process, as a process, or at a terminal."""

import contextlib
import io
import logging
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self
from unittest.mock import patch

from cli.__main__ import main
from tests.support.server import ROOT

COMMAND = (sys.executable, "-P", "-m", "cli")


class Finished(NamedTuple):
    """The exit status of a command and what it wrote."""

    status: int
    output: str
    errors: str


class _Stream(io.TextIOWrapper):
    """A standard stream in memory."""

    def __init__(self, content: bytes, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def content(self) -> str:
        return self.buffer.getvalue().decode()


def call_todo(
    folder: Path, *arguments: str, given: str = "", is_terminal: bool = False, **settings: str
) -> Finished:
    """Run `todo` in this process, which saves the 0.7 s of CPU that a process costs.

    A surrogate in `given` is a byte that is not UTF-8. `is_terminal` is what the streams say of themselves.
    """
    contents = {"stdin": given.encode(errors="surrogateescape"), "stdout": b"", "stderr": b""}
    streams = {name: _Stream(content, is_terminal=is_terminal) for name, content in contents.items()}
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, settings, clear=True),
        patch.multiple(sys, argv=["todo", *arguments], **streams),
        _log_restored(),
    ):
        status = _status_of_main()
    return Finished(status, streams["stdout"].content(), streams["stderr"].content())


def _status_of_main() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@contextlib.contextmanager
def _log_restored() -> Iterator[None]:
    """Undo what a command does to the log of this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings


def start_todo(folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Start `todo` as a process and return at once. The caller ends it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Terminal:
    """`todo` as a process at a terminal. `shown` is what the terminal shows, echoed keys included."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.shown = ""
        self._has_ended = False
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment(TERM="xterm", **settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._has_ended:
            os.kill(self._process, signal.SIGKILL)
            self.end()

    def wait_for(self, text: str) -> None:
        """Wait until the terminal shows `text`."""
        deadline = time.monotonic() + 30
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Wait until the command has ended, and return its exit status."""
        while self._read():
            pass
        os.close(self._terminal)
        self._has_ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def _read(self) -> bool:
        """Read what the terminal shows next. Return False at its end."""
        if not select.select([self._terminal], [], [], 30)[0]:
            os.kill(self._process, signal.SIGKILL)
        try:
            self.shown += (read := os.read(self._terminal, 4096)).decode(errors="replace")
        except OSError:  # Linux: no process writes to the terminal any more
            return False
        return bool(read)
