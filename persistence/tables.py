"""The tables for statements, and the types of their rows. The migrations create them; a test compares both.

A statement returns a named tuple with the columns that it selects. With the NamedTuple of its table, the type
checker finds a misspelt column.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, Table, Text, TypeDecorator

metadata = MetaData()


class _UtcText(TypeDecorator[datetime]):
    """An aware datetime, stored by SQLite as text in UTC without a zone, which sorts by time.

    SQLAlchemy's own type for SQLite stores the same text, and takes 2.3 µs and not 0.3 to read it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> str | None:
        """Convert to UTC."""
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(" ", "microseconds").removesuffix("+00:00")

    def process_result_value(self, value: str | None, _dialect: Any) -> datetime | None:
        """Read as UTC."""
        return None if value is None else datetime.fromisoformat(f"{value}Z")


# Aware on both databases; on PostgreSQL a timestamptz, read in UTC, the time zone of each session.
UtcDateTime = DateTime(timezone=True).with_variant(_UtcText(), "sqlite")

# Users of an outside issuer have no email and no password here.
users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text),
    Column("password_hash", Text),
    Column("created_at", UtcDateTime, nullable=False),
)


class UserRow(NamedTuple):
    """A row of users."""

    id: str
    email: str | None
    password_hash: str | None
    created_at: datetime


# The key is (user_id, id) on PostgreSQL, so that Citus can distribute the data by user. SQLite generates ids
# only for a key that is one integer.
tasks = Table(
    "tasks",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("id", BigInteger, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("completed", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)


class TaskRow(NamedTuple):
    """A row of tasks."""

    user_id: str
    id: int
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime
    version: int


# The response to a POST with an Idempotency-Key. It is null while its transaction is open. Version 0.6.0
# stored it in `answer`.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("content", Text),
    Column("headers", Text),
)


class IdempotencyKeyRow(NamedTuple):
    """A row of idempotency_keys."""

    user_id: str
    key: str
    fingerprint: str
    answer: str | None
    created_at: datetime
    content: str | None
    headers: str | None


# How many tasks of a file an unfinished import has stored. `file` is the digest of the content.
import_progress = Table(
    "import_progress",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("file", Text, primary_key=True),
    Column("stored", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)


class ImportProgressRow(NamedTuple):
    """A row of import_progress."""

    user_id: str
    file: str
    stored: int
    updated_at: datetime


# The sessions of the built-in accounts. `nonce` derives the secret from the previous one.
sessions = Table(
    "sessions",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("secret_digest", Text, nullable=False),
    Column("previous_digest", Text),
    Column("nonce", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("rotated_at", UtcDateTime, nullable=False),
)


class SessionRow(NamedTuple):
    """A row of sessions."""

    user_id: str
    id: str
    secret_digest: str
    previous_digest: str | None
    nonce: str | None
    created_at: datetime
    rotated_at: datetime


# The keys of the built-in issuer. `number` counts up, so that only one of two servers that create the next
# key at the same time succeeds.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kid", Text, nullable=False),
    Column("private_jwk", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)


class SigningKeyRow(NamedTuple):
    """A row of signing_keys."""

    number: int
    kid: str
    private_jwk: str
    created_at: datetime
