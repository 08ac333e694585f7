"""Run the real command line for a test: with its streams piped, or at a terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.server import ROOT

COMMAND = (sys.executable, "-P", "-m", "cli")


class Finished(NamedTuple):
    """The exit status of a command and what it wrote."""

    status: int
    output: str
    errors: str


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings


def todo(folder: Path, *arguments: str, given: str = "", **settings: str) -> Finished:
    """Run `todo` with these arguments, settings and standard input, in `folder`."""
    finished = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def start_todo(folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Start `todo` and return at once. The caller ends it."""
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
    """`todo` at a terminal, which shows its output and echoes what is typed unless told not to."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.shown = ""
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment(TERM="xterm", **settings))

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
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def _read(self) -> bool:
        """Read what the terminal shows next. Return False at its end."""
        if not select.select([self._terminal], [], [], 30)[0]:
            os.kill(self._process, 9)
        try:
            self.shown += (read := os.read(self._terminal, 4096)).decode(errors="replace")
        except OSError:  # Linux: no process writes to the terminal any more
            return False
        return bool(read)
