"""The progress of imports, which was kept in the table of Idempotency-Keys before."""

from alembic import op

revision = "0004"
down_revision = "0003"

IMPORT_PROGRESS = """
CREATE TABLE import_progress (
    user_id text NOT NULL CONSTRAINT import_progress_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    file text NOT NULL,
    stored bigint NOT NULL,
    updated_at {timestamp} NOT NULL,
    PRIMARY KEY (user_id, file)
)
"""
# Version 0.6.0 stored it under the key "import FILE", with the count in the column of the response.
COPY = """
INSERT INTO import_progress (user_id, file, stored, updated_at)
SELECT user_id, substr(key, 8), CAST(answer AS bigint), created_at
FROM idempotency_keys WHERE key LIKE 'import %'
"""


def upgrade() -> None:
    """Add the table, and copy the progress of interrupted imports."""
    timestamp = "timestamptz" if op.get_context().dialect.name == "postgresql" else "datetime"
    op.execute(IMPORT_PROGRESS.format(timestamp=timestamp))
    op.execute(COPY)
