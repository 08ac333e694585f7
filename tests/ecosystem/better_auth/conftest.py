"""What a real Better Auth needs: Node.js with its packages, and somewhere to keep its users."""

from collections.abc import Callable

import pytest

from tests.support import postgresql as postgresql_server
from tests.support import programs


@pytest.fixture(scope="session", autouse=True)
def _node() -> None:
    programs.needed_node()


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
