"""Which databases a test runs on."""

import pytest

DATABASES = ("sqlite", "postgresql")

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Marks tests whose requests are rejected before the database is used, or do the same on any."""

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""Marks tests of what only PostgreSQL does."""
