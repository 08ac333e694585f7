"""What a real Better Auth needs: Node.js with its packages, and somewhere to keep its users."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests import postgresql as postgresql_server
from tests.integration.better_auth.frontend import HERE


@pytest.fixture(scope="session", autouse=True)
def _node() -> None:
    """Without Node.js and the packages these tests are skipped; in CI they fail, so that it is seen."""
    missing = None
    if shutil.which("node") is None:
        missing = "Node.js is not installed: install version 20 or newer, then run `make install`"
    elif not (HERE / "node_modules").is_dir():
        missing = "Better Auth is not installed: run `make install`"
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)


@pytest.fixture(scope="session")
def new_postgresql(postgresql: str) -> Callable[[], str]:
    """Makes an empty PostgreSQL database and gives its URL."""
    return lambda: postgresql_server.new_database(postgresql)


@pytest.fixture(scope="session")
def store(database: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Better Auth's adapter: its own PostgreSQL where we are on PostgreSQL too, and memory beside SQLite."""
    if database == "sqlite":
        return {}
    return {"DATABASE_URL": request.getfixturevalue("new_postgresql")()}
