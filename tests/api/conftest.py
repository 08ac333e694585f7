"""Fixtures of the tests of the API."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ownership_matrix import Wall, standing
from tests.support.server import run_server
from tests.support.users import SECRET


@pytest.fixture(scope="module")
def wall(new_database: Callable[[], str], folder: Path) -> Iterator[Wall]:
    """The wall between two people who have a server to themselves."""
    with (
        run_server(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET) as server,
        standing(server) as wall,
    ):
        yield wall
