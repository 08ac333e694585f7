"""Runs the real command line for a test: its streams piped, or at a terminal of its own."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.server import ROOT

COMMAND = (sys.executable, "-P", "-m", "cli")


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    output: str
    errors: str


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings


def todo(folder: Path, *arguments: str, given: str = "", **settings: str) -> Ended:
    """`todo` with these arguments, settings and standard input, in `folder`."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def begun(folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """The same, not waiting for its end. The caller ends it."""
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
    """`todo` at a terminal, which shows what it writes and echoes what is typed unless told not to."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.shown = ""
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment(TERM="xterm", **settings))

    def wait_for(self, text: str) -> None:
        """Until that is shown."""
        deadline = time.monotonic() + 30
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """The status, when it has ended by itself."""
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def _read(self) -> bool:
        """Some more, if there is ever more."""
        if not select.select([self._terminal], [], [], 30)[0]:
            os.kill(self._process, 9)
        try:
            self.shown += (read := os.read(self._terminal, 4096)).decode(errors="replace")
        except OSError:  # Linux's way to say that nobody writes there any more
            return False
        return bool(read)
