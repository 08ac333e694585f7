"""POST /api/auth/signup"""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import yaml

from tests.support.server import ROOT

PASSWORD = "three green parrots"
CONTRACT = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
_numbers = itertools.count(1)


def new_email() -> str:
    return f"Ada.Lovelace+{next(_numbers)}@Example.com"


def sign_up(accounts: httpx.Client, email: Any, password: Any = PASSWORD) -> httpx.Response:
    return accounts.post("/api/auth/signup", json={"email": email, "password": password})


def log_in(accounts: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return accounts.post("/api/auth/login", json={"email": email, "password": password})


def faults(answer: httpx.Response) -> set[tuple[str, str]]:
    return {(fault["pointer"], fault["keyword"]) for fault in answer.json()["errors"]}


def test_account_is_given_back_without_its_password(accounts: httpx.Client):
    email = new_email()
    answer = sign_up(accounts, email)
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "email", "created_at"}
    assert answer.json()["email"].lower() == email.lower()
    assert answer.json()["created_at"].endswith("Z")
    assert re.fullmatch(CONTRACT["components"]["schemas"]["UserId"]["pattern"], answer.json()["id"])


def test_email_is_one_account_in_every_spelling(accounts: httpx.Client):
    email = new_email()
    account = sign_up(accounts, email).json()
    again = sign_up(accounts, email.swapcase())
    assert again.status_code == 409
    assert again.json()["type"] == "urn:todo:problem:email-taken"
    assert email.lower() not in again.text.lower()
    assert [log_in(accounts, spelling).json()["user"] for spelling in (email, email.upper())] == [account] * 2


def test_concurrent_signups_with_one_email_make_one_account(accounts: httpx.Client):
    email = new_email()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: sign_up(accounts, email), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize("password", ["aß3$éø!7", "é" * 36], ids=["8 characters", "72 bytes"])
def test_password_of_8_characters_to_72_bytes_logs_in(accounts: httpx.Client, password: str):
    email = new_email()
    assert sign_up(accounts, email, password).status_code == 201
    assert log_in(accounts, email, password).status_code == 200


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("aß3$éø!", "minLength"),
        ("", "minLength"),
        ("x7" * 129, "maxLength"),
        (12345678, "type"),
        (None, "type"),
    ],
)
def test_password_outside_the_contract_is_400(accounts: httpx.Client, password: object, fault: str):
    answer = sign_up(accounts, new_email(), password)
    assert answer.status_code == 400
    assert faults(answer) == {("/password", fault)}


@pytest.mark.parametrize(
    "password",
    ["é" * 37, "x" * 73, "🦜" * 19, "sunshine", "SUNSHINE", "iLoveYou", "12345678"],
)
def test_password_too_long_for_bcrypt_or_common_is_422(accounts: httpx.Client, password: str):
    answer = sign_up(accounts, new_email(), password)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:todo:problem:weak-password"
    assert password not in answer.text


NOT_EMAILS = [
    "", "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "a@b@example.com",
    "ada@example.com ", " ada@example.com", "ada lovelace@example.com", "ada@example.com\n",
    "Ada <ada@example.com>", "ada@example.com,bob@example.com", '"ada"@example.com', ".ada@example.com",
    "ada.@example.com", "a..da@example.com", "ada@.example.com", "ada@example..com", "ada@example.com.",
    "ada@-example.com", "ada@exa_mple.com", "ada@[127.0.0.1]", "ada@exämple.com", "ädä@example.com",
    "ada\u200b@example.com", f"ada@{'x' * 64}.com", f"{'a' * 250}@example.com", None, 7, ["ada@example.com"],
]  # fmt: skip


@pytest.mark.parametrize("email", NOT_EMAILS)
def test_what_is_not_an_email_is_400(accounts: httpx.Client, email: object):
    answer = sign_up(accounts, email)
    assert answer.status_code == 400
    assert {pointer for pointer, _ in faults(answer)} == {"/email"}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("canary@example.com ", PASSWORD),
        ("canary@example.com", "canary7"),
        ("canary@example.com", "canary" * 13),
    ],
)
def test_no_refusal_repeats_email_or_password(accounts: httpx.Client, email: str, password: str):
    answer = sign_up(accounts, email, password)
    assert answer.status_code in {400, 422}
    assert "canary" not in answer.text
    assert PASSWORD not in answer.text
