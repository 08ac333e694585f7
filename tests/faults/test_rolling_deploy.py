"""Two versions of the server on one database, during a deploy and after a rollback."""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from persistence.schema import get_newest
from tests.faults.load import SUCCESSES, run_clients
from tests.support.server import ROOT, Server, run_server, wait_until_live
from tests.support.users import SECRET

PROGRAM = (
    "app.py",
    "cli",
    "contract",
    "handlers",
    "observability",
    "openapi",
    "persistence",
    "security",
    "server",
)
NEWEST = get_newest()
LATER = f"{int(NEWEST) + 1:04}"
MIGRATION = f'''
"""Additions of a later version."""

from alembic import op

revision = "{LATER}"
down_revision = "{NEWEST}"


def upgrade() -> None:
    """Add a table, a column and an index."""
    op.execute("CREATE TABLE added (id bigint PRIMARY KEY)")
    op.execute("ALTER TABLE tasks ADD COLUMN added bigint NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX tasks_by_added ON tasks (user_id, added)")
'''
WARNING = "the schema is newer than this server"


@pytest.fixture(scope="module")
def later_version(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of this program with one more migration."""
    folder = tmp_path_factory.mktemp("later")
    for name in (*PROGRAM, "setting_parsers.py", "settings.py"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "persistence/migrations/versions" / f"{LATER}_added.py").write_text(MIGRATION)
    return str(folder)


def test_deploy_and_rollback_fail_no_request(
    new_database: Callable[[], str], folder: Path, later_version: str
):
    settings = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET}
    with ExitStack() as stack:

        def start(**more: str) -> Server:
            server = stack.enter_context(run_server(folder, **settings, **more))
            return wait_until_live(server, path="/health/ready")

        servers = [start()]
        loads = [stack.enter_context(run_clients(servers[0].url, 4))]
        servers.append(start(PYTHONPATH=later_version))  # the deploy
        loads.append(stack.enter_context(run_clients(servers[1].url, 4)))
        servers.append(start())  # the rollback
        loads.append(stack.enter_context(run_clients(servers[2].url, 4)))
        time.sleep(1)
        for server in servers:
            wait_until_live(server, path="/health/ready", timeout_s=1)
        assert f'"from":"{NEWEST}","to":"{LATER}"' in servers[1].log
        assert [server.log.count(WARNING) for server in servers] == [0, 0, 1]
        for load in loads:
            assert load.statuses() <= SUCCESSES
            assert len(load.exchanges) > 30
