"""users.created_at fills itself in, so that Better Auth, coming later, can make the table its own.

Its `modelName: "users"` adds the columns that it needs to a table that is there, and would refuse to start
while one of ours is required that it never writes.
"""

from alembic import op
from sqlalchemy import inspect

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Give the column its default; on SQLite, which cannot, Better Auth has to come first."""
    columns = {found["name"] for found in inspect(op.get_bind()).get_columns("users")}
    if op.get_context().dialect.name == "postgresql" and "password_hash" in columns:
        op.execute("ALTER TABLE users ALTER COLUMN created_at SET DEFAULT now()")
