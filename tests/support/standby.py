"""A PostgreSQL with a synchronous standby that can be promoted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.support.postgresql import INITDB, PostgreSQL, Programs, find_binaries, run_postgresql
from tests.support.server import eventually, find_free_port

# Nothing is acknowledged before the standby has it too.
SYNCHRONOUS = ("-c", "synchronous_commit=on", "-c", "synchronous_standby_names=*")


@dataclass
class Pair:
    """The primary, and the standby that has all that the primary has acknowledged."""

    primary: PostgreSQL
    standby: PostgreSQL

    @property
    def url(self) -> str:
        """The URL of both servers in SQLAlchemy's spelling; the primary gets the writes."""
        first, second = self._hosts()
        return f"postgresql://postgres@/postgres?host={first}&host={second}&target_session_attrs=read-write"

    @property
    def libpq_url(self) -> str:
        """The same, as libpq spells it."""
        return f"postgresql://postgres@{','.join(self._hosts())}/postgres?target_session_attrs=read-write"

    def promote(self) -> None:
        """Promote the standby to primary."""
        _run(self.standby, "SELECT pg_promote()")

    def make_primary_read_only(self) -> None:
        """Its connections stay, and none of them can write any more."""
        _run(self.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
        _run(self.primary, "SELECT pg_reload_conf()")

    def is_synchronous(self) -> bool:
        return _run(self.primary, "SELECT sync_state FROM pg_stat_replication") == [("sync",)]

    def _hosts(self) -> tuple[str, str]:
        return f"127.0.0.1:{self.primary.port}", f"127.0.0.1:{self.standby.port}"


@contextmanager
def standing_by(programs: Programs) -> Iterator[Pair]:
    """A new pair, both running, in folders of their own."""
    ports = find_free_port(), find_free_port()
    folders = [programs.folder / f"data-{port}" for port in ports]
    programs.run("initdb", "-D", folders[0], *INITDB)
    with run_postgresql(PostgreSQL(programs, folders[0], ports[0], *SYNCHRONOUS)) as primary:
        backup = ["-D", folders[1], "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        programs.run("pg_basebackup", "-h", "127.0.0.1", "-p", str(ports[0]), "-U", "postgres", *backup)
        with run_postgresql(PostgreSQL(programs, folders[1], ports[1])) as standby:
            pair = Pair(primary, standby)
            assert eventually(pair.is_synchronous, within_s=10)
            yield pair


def has_programs() -> bool:
    """Return whether the programs for a standby are installed."""
    binaries = find_binaries()
    return binaries is not None and (binaries / "pg_basebackup").exists()


def _run(postgresql: PostgreSQL, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []
