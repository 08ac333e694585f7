"""A default for users.created_at, so that Better Auth can adopt the table later.

With `modelName: "users"` Better Auth adds its columns to an existing table, and does not start if a column is
required that it never writes.
"""

from alembic import op
from sqlalchemy import inspect

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the default. SQLite cannot, so there Better Auth must migrate first."""
    columns = {found["name"] for found in inspect(op.get_bind()).get_columns("users")}
    if op.get_context().dialect.name == "postgresql" and "password_hash" in columns:
        op.execute("ALTER TABLE users ALTER COLUMN created_at SET DEFAULT now()")
