"""POST /api/auth/signup"""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.contract_checks import CONTRACT

PASSWORD = "aß3$éø!7"  # 8 characters, the fewest
USER_ID = CONTRACT["components"]["schemas"]["UserId"]["pattern"]
_numbers = itertools.count(1)


def new_email() -> str:
    return f"Ada.Lovelace+{next(_numbers)}@Example.com"


def sign_up(accounts: httpx.Client, email: str) -> httpx.Response:
    return accounts.post("/api/auth/signup", json={"email": email, "password": PASSWORD})


def log_in(accounts: httpx.Client, email: str) -> httpx.Response:
    return accounts.post("/api/auth/login", json={"email": email, "password": PASSWORD})


@pytest.fixture(scope="module")
def email() -> str:
    """The email that `account` was created with, in capital and small letters."""
    return new_email()


@pytest.fixture(scope="module")
def account(accounts: httpx.Client, email: str) -> httpx.Response:
    """The response to a sign-up."""
    response = sign_up(accounts, email)
    assert response.status_code == 201, response.text
    return response


def test_signup_returns_the_account_without_its_password(account: httpx.Response, email: str):
    assert account.json().keys() == {"id", "email", "created_at"}
    assert account.json()["email"] == email.lower()
    assert re.fullmatch(USER_ID, account.json()["id"])
    assert account.json()["created_at"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(account.json()["created_at"])
    assert abs(age) < timedelta(minutes=5)


def test_account_can_be_logged_in_to_in_every_spelling_of_its_email(
    accounts: httpx.Client, account: httpx.Response, email: str
):
    sessions = [log_in(accounts, spelling) for spelling in (email, email.upper())]
    assert [session.json()["user"] for session in sessions] == [account.json()] * 2


def test_email_of_an_account_is_409_in_every_spelling_and_is_not_repeated(
    accounts: httpx.Client, account: httpx.Response, email: str
):
    again = sign_up(accounts, email.swapcase())
    assert (again.status_code, again.json()["type"]) == (409, "urn:todo:problem:email-taken")
    assert email.lower() not in again.text.lower()


def test_concurrent_signups_with_one_email_create_one_account(accounts: httpx.Client):
    email = new_email()
    with ThreadPoolExecutor(3) as threads:
        responses = list(threads.map(lambda _: sign_up(accounts, email), range(3)))
    assert sorted(response.status_code for response in responses) == [201, 409, 409]
