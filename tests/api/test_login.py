"""POST /api/auth/login"""

from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.server import Server
from tests.support.users import User

EMAIL = "Grace@example.com"
PASSWORD = "é" * 36  # 72 bytes, all that bcrypt reads
FAILURES = {
    "a wrong password": (EMAIL, "another password"),
    "an unknown email": ("nobody@example.com", PASSWORD),
    "a password over 72 bytes": (EMAIL, "x" * 100),
    "the right password and one byte more": (EMAIL, PASSWORD + "x"),
}


@pytest.fixture(scope="module")
def account(accounts: httpx.Client) -> dict[str, Any]:
    """The account of EMAIL and PASSWORD."""
    answer = accounts.post("/api/auth/signup", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module")
def session(accounts: httpx.Client, account: dict[str, Any]) -> httpx.Response:
    """A login that succeeded, the email spelled in another case."""
    answer = log_in(accounts, EMAIL.upper(), PASSWORD)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def failures(accounts: httpx.Client, account: dict[str, Any]) -> dict[str, httpx.Response]:
    """The answers to FAILURES."""
    return {cause: log_in(accounts, *credentials) for cause, credentials in FAILURES.items()}


def log_in(accounts: httpx.Client, email: str, password: str) -> httpx.Response:
    return accounts.post("/api/auth/login", json={"email": email, "password": password})


def test_login_gives_a_bearer_token_and_whose_it_is(session: httpx.Response, account: dict[str, Any]):
    assert session.json().keys() == {"access_token", "token_type", "expires_in", "user"}
    assert session.json()["token_type"] == "Bearer"
    assert session.json()["expires_in"] == 900
    assert session.json()["user"] == account


def test_login_is_not_stored(session: httpx.Response):
    assert session.headers["cache-control"] == "no-store"


def test_token_opens_its_users_tasks(accounts: httpx.Client, session: httpx.Response):
    grace = User(accounts, session.json()["user"]["id"], session.json()["access_token"])
    task = grace.create_task("Write a compiler")
    assert grace.get(f"/{task['id']}").json() == task


def test_token_is_for_this_server_and_15_minutes(account_server: Server, session: httpx.Response):
    claims = jwt.decode(session.json()["access_token"], options={"verify_signature": False})
    assert claims.keys() == {"sub", "iss", "aud", "iat", "exp"}
    assert claims["sub"] == session.json()["user"]["id"]
    assert claims["iss"] == claims["aud"] == account_server.url
    assert claims["exp"] - claims["iat"] == session.json()["expires_in"]


@pytest.mark.parametrize("cause", FAILURES)
def test_every_failure_is_the_same_answer(failures: dict[str, httpx.Response], cause: str):
    def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
        own = answer.headers["x-request-id"]
        headers = {
            name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}
        }
        return answer.status_code, answer.content.replace(own.encode(), b""), headers

    first, *_ = failures.values()
    assert first.status_code == 401
    assert first.json()["type"] == "urn:todo:problem:wrong-credentials"
    assert seen(failures[cause]) == seen(first)


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the CPU time of a process is read from /proc"
)
def test_unknown_email_costs_a_bcrypt_as_a_wrong_password_does(
    accounts: httpx.Client, account_server: Server, account: dict[str, Any]
):
    """Work is compared and not the clock, which a busy machine stretches: 0.2 s against less than 0.02 s."""

    def cost(cause: str) -> int:
        before = cpu_ticks(account_server.process.pid)
        assert log_in(accounts, *FAILURES[cause]).status_code == 401
        return cpu_ticks(account_server.process.pid) - before

    assert cost("an unknown email") > cost("a wrong password") / 2


def cpu_ticks(pid: int) -> int:
    """User and system time of a process so far, in clock ticks; see proc_pid_stat(5)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": EMAIL},
        {"password": PASSWORD},
        {"email": "canary", "password": PASSWORD},
        {"email": EMAIL, "password": ""},
        {"email": EMAIL, "password": "canary\0canary"},
        {"email": EMAIL, "password": 7},
    ],
)
def test_login_outside_the_contract_is_400_and_not_repeated(accounts: httpx.Client, body: dict[str, Any]):
    answer = accounts.post("/api/auth/login", json=body)
    assert answer.status_code == 400
    assert "canary" not in answer.text
    assert PASSWORD not in answer.text
