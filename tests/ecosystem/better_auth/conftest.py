"""PostgreSQL for a real Better Auth, whatever the tests' own database is."""

from collections.abc import Callable

import pytest

from tests.support import postgresql as postgresql_server


@pytest.fixture(scope="session")
def new_postgresql(postgresql: str) -> Callable[[], str]:
    """Create an empty PostgreSQL database and return its URL."""
    return lambda: postgresql_server.new_database(postgresql)
