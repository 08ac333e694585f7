"""tasks.version, for If-Match; the responses to requests with an Idempotency-Key."""

from alembic import op

revision = "0003"
down_revision = "0002"

IDEMPOTENCY_KEYS = """
CREATE TABLE idempotency_keys (
    user_id text NOT NULL CONSTRAINT idempotency_keys_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer text,
    created_at {timestamp} NOT NULL,
    PRIMARY KEY (user_id, key)
)
"""


def upgrade() -> None:
    """Add a version, 1 for each task. Neither database rewrites the table for a constant default."""
    timestamp = "timestamptz" if op.get_context().dialect.name == "postgresql" else "datetime"
    op.execute("ALTER TABLE tasks ADD COLUMN version bigint NOT NULL DEFAULT 1")
    op.execute(IDEMPOTENCY_KEYS.format(timestamp=timestamp))
    op.execute("CREATE INDEX idempotency_keys_by_created_at ON idempotency_keys (created_at)")
