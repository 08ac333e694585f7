"""What Citus refuses is understood: triggers of a plain PostgreSQL refuse as it does."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from contract.problems import EmailTaken
from persistence import schema, tasks, users
from persistence.database import Database
from tests.ecosystem.deployment.citus import with_database
from tests.support.postgresql import new_database
from tests.support.server import open_engine

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
# What a machine refuses is told by the coordinator in the same words, but without naming the constraint in a
# field of its own; and each shard's bears the shard's number.
AS_CITUS_REFUSES = """
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
    """The URL of a migrated PostgreSQL that refuses as Citus does."""
    url = new_database(postgresql)
    asyncio.run(with_database(url, schema.upgrade))
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(AS_CITUS_REFUSES)
    engine.dispose()
    return url


def test_first_task_of_an_outside_user_makes_their_row(citus_like: str):
    async def first_task(db: Database) -> Any:
        new = {"title": "Buy milk", "description": None, "completed": False, "now": NOON}
        make = partial(tasks.create, db, "ada", **new)
        return await users.provisioned(db, "ada", make, is_allowed=True, now=NOON)

    assert asyncio.run(with_database(citus_like, first_task)).title == "Buy milk"


def test_second_account_of_an_email_is_refused(citus_like: str):
    async def two_accounts(db: Database) -> None:
        account = {"email": "ada@example.com", "password_hash": "x", "now": NOON}
        await users.create(db, "ada", **account)
        await users.create(db, "eve", **account)

    with pytest.raises(EmailTaken):
        asyncio.run(with_database(citus_like, two_accounts))
