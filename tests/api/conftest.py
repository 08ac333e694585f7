"""Fixtures of the tests of the API."""

from collections.abc import Iterator

import pytest

from tests.support.ownership_matrix import TwoUsers, two_users_on
from tests.support.server import Server


@pytest.fixture(scope="module")
def two_users(secret_server: Server) -> Iterator[TwoUsers]:
    """Ada and Bob of the ownership matrix, with two tasks each."""
    with two_users_on(secret_server) as two_users:
        yield two_users
