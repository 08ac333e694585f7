"""The sessions of the built-in accounts."""

from alembic import op

revision = "0006"
down_revision = "0005"

SESSIONS = """
CREATE TABLE sessions (
    user_id text NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    id text NOT NULL,
    secret_digest text NOT NULL,
    previous_digest text,
    nonce text,
    created_at {timestamp} NOT NULL,
    rotated_at {timestamp} NOT NULL,
    PRIMARY KEY (user_id, id)
)
"""


def upgrade() -> None:
    """Add the table."""
    timestamp = "timestamptz" if op.get_context().dialect.name == "postgresql" else "datetime"
    op.execute(SESSIONS.format(timestamp=timestamp))
