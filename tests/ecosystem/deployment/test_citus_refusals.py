"""The errors of Citus are understood: triggers of a plain PostgreSQL raise the same."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from contract.problems import EmailTaken, Unavailable
from persistence import schema, users
from persistence.database import Database
from tests.support.databases import create_task, run_on
from tests.support.postgresql import new_database
from tests.support.server import open_engine

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
# The coordinator repeats the message of a machine, but without the field that names the constraint, and with
# the number of the shard behind the name.
TRIGGERS = """
CREATE FUNCTION refuse_missing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NOT EXISTS (SELECT FROM users WHERE id = NEW.user_id) THEN
    RAISE 'insert on table "tasks_102008" violates foreign key constraint "tasks_user_id_fkey_102008"'
      USING ERRCODE = 'foreign_key_violation';
  END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_missing BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION refuse_missing();
CREATE FUNCTION refuse_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF EXISTS (SELECT FROM users WHERE email = NEW.email) THEN
    RAISE 'duplicate key value violates unique constraint "users_email_key_102040"'
      USING ERRCODE = 'unique_violation';
  END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_taken BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse_taken();
"""


@pytest.fixture
def citus_like(postgresql: str) -> str:
    """The URL of a migrated PostgreSQL that rejects rows as Citus does."""
    url = new_database(postgresql)
    run_on(url, schema.upgrade)
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(TRIGGERS)
    engine.dispose()
    return url


def test_first_task_of_an_outside_user_creates_their_row(citus_like: str):
    def first_task(db: Database) -> Awaitable[dict[str, Any]]:
        return create_task(db, "ada", now=NOON, title="Buy milk", may_insert_owner=True)

    assert run_on(citus_like, first_task)["title"] == "Buy milk"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("could not commit transaction for shard 102008 on at least one active node", Unavailable),
        ("failure on connection marked as essential: worker-1:5432", Unavailable),
        ("another internal error", psycopg.errors.InternalError_),
    ],
)
def test_dead_machine_inside_a_transaction_is_unavailable(
    citus_like: str, message: str, expected: type[Exception]
):
    async def fail(db: Database) -> None:
        raising = f"DO $$ BEGIN RAISE '{message}' USING ERRCODE = 'XX000'; END $$"
        await db.transaction(lambda transaction: transaction.fetch_one(text(raising), {}))

    with pytest.raises(expected):
        run_on(citus_like, fail)


def test_second_account_with_an_email_is_rejected(citus_like: str):
    async def two_accounts(db: Database) -> None:
        account = {"email": "ada@example.com", "password_hash": "x", "now": NOON}
        await users.create(db, "ada", **account)
        await users.create(db, "eve", **account)

    with pytest.raises(EmailTaken):
        run_on(citus_like, two_accounts)
