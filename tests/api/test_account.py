"""The account of a user: me, change-password and delete-account."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from contract.problems import WrongCredentials, WrongPassword
from persistence import removals, sessions, users
from persistence.database import Database
from security import accounts as accounts_of
from security.passwords import Passwords
from tests.support.accounts import NEW_PASSWORD, PASSWORD, Account, create_account
from tests.support.contract_checks import open_client
from tests.support.databases import run_on
from tests.support.rows import copy_task, count_rows
from tests.support.server import Server, run_server

NO_DATA = {"tasks": 0, "idempotency_keys": 0, "users": 0}


@pytest.fixture
def grace(accounts: httpx.Client, account_server: Server) -> Account:
    """A new account."""
    return create_account(accounts, account_server)


def change(account: Account, session: dict[str, str], current: str, new: str) -> httpx.Response:
    return account.post("change-password", session, current_password=current, new_password=new)


def delete(account: Account, session: dict[str, str], password: str = PASSWORD) -> httpx.Response:
    return account.post("delete-account", session, password=password)


def test_me_is_the_account_of_the_token(grace: Account):
    session = grace.log_in()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    response = grace.http.get("/api/auth/me", headers=headers)
    assert (response.status_code, response.json()) == (200, session["user"])
    assert grace.http.get("/api/auth/me").json()["type"] == "urn:todo:problem:unauthenticated"


def test_change_of_the_password_starts_a_session_and_ends_all_others(grace: Account):
    first, other = grace.log_in(), grace.log_in()
    response = change(grace, first, PASSWORD, NEW_PASSWORD)
    assert response.status_code == 200
    assert response.headers.get_list("cache-control") == ["no-store"]
    session = response.json()
    assert grace.as_user(session).get().status_code == 200
    assert grace.next_of(session["refresh_token"]) == session["refresh_token"]
    assert [grace.refresh(old["refresh_token"]).status_code for old in (first, other)] == [401, 401]
    assert grace.count_sessions() == 1
    assert grace.post("login", email=grace.email, password=PASSWORD).status_code == 401
    assert grace.log_in(NEW_PASSWORD)
    assert grace.as_user(first).get().status_code == 200  # until the access token expires


@pytest.mark.parametrize(
    ("current", "new", "problem"),
    [
        ("another password", NEW_PASSWORD, "wrong-password"),
        ("x" * 200, NEW_PASSWORD, "wrong-password"),
        (f"{PASSWORD} ", NEW_PASSWORD, "wrong-password"),
        (PASSWORD, "iloveyou", "weak-password"),
        (PASSWORD, "x" * 73, "weak-password"),
    ],
    ids=["wrong", "long", "a blank more", "common", "over 72 bytes"],
)
def test_rejected_change_of_the_password_changes_nothing(
    grace: Account, current: str, new: str, problem: str
):
    session = grace.log_in()
    response = change(grace, session, current, new)
    assert (response.status_code, response.json()["type"]) == (422, f"urn:todo:problem:{problem}")
    assert grace.next_of(session["refresh_token"]) == session["refresh_token"]
    assert grace.log_in()


def test_new_password_has_the_rules_of_the_sign_up(grace: Account):
    response = change(grace, grace.log_in(), PASSWORD, "short")
    assert response.status_code == 400
    assert response.json()["detail"] == "new_password: at least 8 characters"


def test_one_of_two_changes_of_the_password_succeeds(grace: Account):
    session = grace.log_in()
    with ThreadPoolExecutor(2) as clients:
        responses = [
            *clients.map(lambda n: change(grace, session, PASSWORD, f"{n} blue parrots"), ("one", "two"))
        ]
    assert sorted(response.status_code for response in responses) == [200, 422]
    assert grace.count_sessions() == 1


def run_while_the_password_is_changed(grace: Account, work: Callable[[Database, Passwords], object]) -> None:
    """Run `work`, and change the password after `work` has compared it."""
    session, passwords = grace.log_in(), Passwords()

    async def matches_then_changed(*arguments: object, **options: object) -> bool:
        response = await asyncio.to_thread(change, grace, session, PASSWORD, NEW_PASSWORD)
        assert response.status_code == 200
        return True

    async def run(database: Database) -> None:
        with patch.object(passwords, "matches", matches_then_changed):
            await work(database, passwords)  # type: ignore[misc]

    run_on(grace.server.settings["DATABASE_URL"], run)
    passwords.close()


def test_login_that_overlaps_a_change_of_the_password_gets_no_session(grace: Account):
    async def log_in(database: Database, passwords: Passwords) -> None:
        with pytest.raises(WrongCredentials):
            await accounts_of.log_in(
                database, passwords, email=grace.email, password=PASSWORD, now=datetime.now(UTC), network=""
            )

    run_while_the_password_is_changed(grace, log_in)
    assert grace.count_sessions() == 1  # of the change


def test_change_that_overlaps_another_one_is_rejected(grace: Account):
    async def change_again(database: Database, passwords: Passwords) -> None:
        with pytest.raises(WrongPassword):
            await accounts_of.change_password(
                database,
                passwords,
                grace.id,
                current=PASSWORD,
                new="five red parrots",
                now=datetime.now(UTC),
                network="",
            )

    run_while_the_password_is_changed(grace, change_again)
    assert grace.log_in(NEW_PASSWORD)


def test_change_that_is_repeated_after_its_commit_succeeds(grace: Account):
    """As after a connection that was lost during COMMIT."""

    async def change_twice(database: Database) -> list[bool]:
        session = {"session_id": "s", "digest": "d", "now": datetime.now(UTC)}
        row = await users.find_account(database, grace.id)
        assert row is not None
        hashes = {"old_password_hash": row.password_hash or "", "new_password_hash": "new"}
        return [await sessions.replace_all(database, grace.id, **session, **hashes) for _ in range(2)]  # type: ignore[arg-type]

    assert run_on(grace.server.settings["DATABASE_URL"], change_twice) == [True, True]
    assert grace.count_sessions() == 1


def test_deleted_account_leaves_nothing(grace: Account):
    session = grace.log_in()
    ada = grace.as_user(session)
    ada.post_with_key("key")
    ada.create_task()
    assert delete(grace, session).status_code == 204
    assert count_rows(grace.server, grace.id) == NO_DATA
    assert grace.count_sessions() == 0
    assert grace.refresh(session["refresh_token"]).status_code == 401
    assert grace.post("login", email=grace.email, password=PASSWORD).status_code == 401
    assert ada.post({"title": "Buy milk"}).status_code == 401
    assert delete(grace, session).json()["type"] == "urn:todo:problem:invalid-token"


def test_wrong_password_deletes_nothing(grace: Account):
    session = grace.log_in()
    grace.as_user(session).create_task()
    response = delete(grace, session, "another password")
    assert (response.status_code, response.json()["type"]) == (422, "urn:todo:problem:wrong-password")
    assert count_rows(grace.server, grace.id) == {"tasks": 1, "idempotency_keys": 0, "users": 1}


def test_account_with_many_tasks_is_deleted(grace: Account):
    session = grace.log_in()
    grace.as_user(session).create_task()
    copy_task(grace.server, grace.id, 2 * removals.BATCH_SIZE)
    assert delete(grace, session).status_code == 204
    assert count_rows(grace.server, grace.id) == NO_DATA


def test_another_users_data_stays(grace: Account, accounts: httpx.Client):
    alan = create_account(accounts, grace.server)
    kept = alan.log_in()
    alan.as_user(kept).post_with_key("key")
    assert delete(grace, grace.log_in()).status_code == 204
    assert count_rows(grace.server, alan.id) == {"tasks": 1, "idempotency_keys": 1, "users": 1}
    assert alan.next_of(kept["refresh_token"])


def test_wrong_passwords_are_limited_by_user_and_refreshes_by_a_wide_limit_of_the_address(
    new_database: Callable[[], str], folder: Path
):
    limits = {"RATE_LIMIT": "on", "RATE_LIMIT_LOGIN": "4/minute"}
    with run_server(folder, DATABASE_URL=new_database(), **limits) as server, open_client(server.url) as http:
        grace, alan = (create_account(http, server) for _ in range(2))
        session, other = grace.log_in(), alan.log_in()
        statuses = [delete(grace, session, "wrong").status_code for _ in range(5)]
        assert statuses == [422] * 4 + [429]
        assert change(grace, session, "wrong", NEW_PASSWORD).status_code == 429
        assert delete(alan, other, "wrong").status_code == 422
        refreshed = [grace.refresh(session["refresh_token"]).status_code for _ in range(30)]
        assert refreshed == [200] * 30
