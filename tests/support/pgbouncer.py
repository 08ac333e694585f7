"""A real PgBouncer for the tests, in transaction mode before a PostgreSQL of the tests."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import make_url

from tests.support.programs import needed
from tests.support.server import eventually, find_free_port

POOL_SIZE = 3  # connections to a database, fewer than clients, so that they are shared
TRACKS_PREPARED = (1, 21)  # the default since this version
CONFIGURATION = """
[databases]
* = {postgresql}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
server_login_retry = 1
logfile = {folder}/log
"""


@dataclass
class PgBouncer:
    """A PgBouncer on `port`. `program` as root needs another user."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start PgBouncer and wait until it accepts connections."""
        command = [self.program, "-q", self.folder / "pgbouncer.ini"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_user())
        if not eventually(self.answers, within_s=10):
            raise RuntimeError(f"PgBouncer did not start:\n{(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def answers(self) -> bool:
        try:
            self.queries()
        except psycopg.OperationalError:
            return False
        return True

    def queries(self) -> int:
        """How many it has passed on, to whichever database."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=2) as console:
            console.row_factory = dict_row
            rows = console.execute("SHOW STATS").fetchall()
        return sum(int(row["total_query_count"]) for row in rows if row["database"] != "pgbouncer")

    def url(self, of: str = "postgresql://postgres@/pgbouncer") -> str:
        """The database of that URL through here; its own console by default."""
        url = make_url(of).set(host="127.0.0.1", port=self.port)
        return url.render_as_string(hide_password=False)


@contextmanager
def started(postgresql_url: str) -> Iterator[PgBouncer]:
    """A PgBouncer before that PostgreSQL."""
    program = needed("pgbouncer", package="pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="todo-pgbouncer-"))
    pooler = PgBouncer(program, folder, find_free_port())
    try:
        (folder / "pgbouncer.ini").write_text(_configuration(pooler, postgresql_url))
        if as_user():
            shutil.chown(folder, "nobody", "nogroup")
        pooler.start()
        yield pooler
    finally:
        if pooler.process is not None:
            pooler.kill()
        shutil.rmtree(folder, ignore_errors=True)


def as_user() -> dict[str, object]:
    """It refuses root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def _configuration(pooler: PgBouncer, postgresql_url: str) -> str:
    url = make_url(postgresql_url)
    where = {"host": url.host, "port": url.port or 5432, "user": url.username, "password": url.password}
    postgresql = " ".join(f"{name}={value}" for name, value in where.items() if value)
    text = CONFIGURATION.format(
        postgresql=postgresql, port=pooler.port, pool_size=POOL_SIZE, folder=pooler.folder
    )
    return text + ("max_prepared_statements = 0\n" if _version(pooler.program) >= TRACKS_PREPARED else "")


def _version(program: str) -> tuple[int, ...]:
    shown = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", shown)[:2])
