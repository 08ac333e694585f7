"""Users, tasks, the built-in issuer's keys."""

from alembic import op
from sqlalchemy import String, inspect

from persistence.errors import Incompatible

revision = "0001"
down_revision = None

USERS = """
CREATE TABLE users (
    id text PRIMARY KEY,
    email text CONSTRAINT users_email_key UNIQUE,
    password_hash text,
    created_at {timestamp} NOT NULL
)
"""

# PostgreSQL: the key begins with the user, so that the data can be distributed by it.
TASKS_POSTGRESQL = """
CREATE TABLE tasks (
    user_id text NOT NULL CONSTRAINT tasks_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    title text COLLATE "C" NOT NULL,
    description text,
    completed boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
)
"""

# AUTOINCREMENT: the id of a deleted task is never given again.
TASKS_SQLITE = """
CREATE TABLE tasks (
    id integer PRIMARY KEY AUTOINCREMENT,
    user_id text NOT NULL CONSTRAINT tasks_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    title text NOT NULL,
    description text,
    completed boolean NOT NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
)
"""

SIGNING_KEYS = """
CREATE TABLE signing_keys (
    number integer PRIMARY KEY,
    kid text NOT NULL,
    private_jwk text NOT NULL,
    created_at {timestamp} NOT NULL
)
"""


def upgrade() -> None:
    """Create all tables. If another program has a table users, let tasks refer to that one.

    Each order of a list has an index, with and without the status filter.
    """
    is_postgresql = op.get_context().dialect.name == "postgresql"
    timestamp = "timestamptz" if is_postgresql else "datetime"
    if inspect(op.get_bind()).has_table("users"):
        _check_that_tasks_can_refer_to_users()
    else:
        op.execute(USERS.format(timestamp=timestamp))
    op.execute(TASKS_POSTGRESQL if is_postgresql else TASKS_SQLITE)
    op.execute(SIGNING_KEYS.format(timestamp=timestamp))
    for column in ("created_at", "updated_at", "title"):
        op.execute(f"CREATE INDEX tasks_by_{column} ON tasks (user_id, {column}, id)")
        op.execute(f"CREATE INDEX tasks_by_status_{column} ON tasks (user_id, completed, {column}, id)")


def _check_that_tasks_can_refer_to_users() -> None:
    columns = {found["name"]: found["type"] for found in inspect(op.get_bind()).get_columns("users")}
    if not isinstance(columns.get("id"), String):
        raise Incompatible(
            f"the table users is another program's and its ids are {columns.get('id')}: tasks refer to text"
            " only. Let that program name its table otherwise, or make its ids text."
        )
