"""The body and the headers of a stored response in columns of their own.

Version 0.6.0 stored both as JSON in `answer`, up to three times as long. It finds null there for a response
of this version, and responds with 409.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns. They are null for the responses of an older version."""
    op.execute("ALTER TABLE idempotency_keys ADD COLUMN content text")
    op.execute("ALTER TABLE idempotency_keys ADD COLUMN headers text")
