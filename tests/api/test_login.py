"""POST /api/auth/login"""

from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.databases import on_sqlite
from tests.support.server import Server
from tests.support.users import User

EMAIL = "Grace@example.com"
PASSWORD = "é" * 36  # 72 bytes, the most that bcrypt reads
WRONG = {
    "a wrong password": (EMAIL, "another password"),
    "an unknown email": ("unknown@example.com", PASSWORD),
    "a password over 72 bytes": (EMAIL, "x" * 100),
    "the right password and one byte more": (EMAIL, PASSWORD + "x"),
}


def log_in(accounts: httpx.Client, email: str, password: str) -> httpx.Response:
    return accounts.post("/api/auth/login", json={"email": email, "password": password})


@pytest.fixture(scope="module")
def account(accounts: httpx.Client) -> dict[str, Any]:
    """The account of EMAIL and PASSWORD."""
    response = accounts.post("/api/auth/signup", json={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 201, response.text
    return dict(response.json())


@pytest.fixture(scope="module")
def session(accounts: httpx.Client, account: dict[str, Any]) -> httpx.Response:
    """The response to a login that succeeded."""
    response = log_in(accounts, EMAIL.upper(), PASSWORD)
    assert response.status_code == 200, response.text
    return response


def test_login_returns_a_bearer_token_and_its_user(session: httpx.Response, account: dict[str, Any]):
    token = session.json()["access_token"]
    fixed = {"token_type": "Bearer", "expires_in": 900, "refresh_expires_in": 30 * 24 * 3600}
    refresh_token = session.json()["refresh_token"]
    assert session.json() == fixed | {"access_token": token, "refresh_token": refresh_token, "user": account}
    assert session.headers["cache-control"] == "no-store"


def test_token_opens_the_tasks_of_its_user(accounts: httpx.Client, session: httpx.Response):
    grace = User(accounts, session.json()["user"]["id"], session.json()["access_token"])
    task = grace.create_task("Write a compiler")
    assert grace.get(f"/{task['id']}").json() == task


def test_token_is_for_this_server_and_15_minutes(account_server: Server, session: httpx.Response):
    claims = jwt.decode(session.json()["access_token"], options={"verify_signature": False})
    assert claims.keys() == {"sub", "iss", "aud", "iat", "exp"}
    assert claims["sub"] == session.json()["user"]["id"]
    assert claims["iss"] == claims["aud"] == account_server.url
    assert claims["exp"] - claims["iat"] == 900


def test_every_failed_login_gets_the_same_401(accounts: httpx.Client, account: dict[str, Any]):
    def seen(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
        request_id = response.headers["x-request-id"]
        changing = {"x-request-id", "date"}
        headers = {name: value for name, value in response.headers.items() if name not in changing}
        return response.status_code, response.content.replace(request_id.encode(), b""), headers

    first, *others = [log_in(accounts, *credentials) for credentials in WRONG.values()]
    assert (first.status_code, first.json()["type"]) == (401, "urn:todo:problem:wrong-credentials")
    assert first.headers["www-authenticate"] == "Bearer"
    assert [seen(other) for other in others] == [seen(first)] * len(others)


@on_sqlite
@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the CPU time of a process is read from /proc"
)
def test_login_with_an_unknown_email_costs_as_much_as_with_a_wrong_password(
    accounts: httpx.Client, account_server: Server, account: dict[str, Any]
):
    """Compare the CPU time, which other processes do not change: 0.2 s against less than 0.02 s."""

    def cost(cause: str) -> int:
        before = cpu_ticks(account_server.process.pid)
        assert log_in(accounts, *WRONG[cause]).status_code == 401
        return cpu_ticks(account_server.process.pid) - before

    assert cost("an unknown email") > cost("a wrong password") / 2


def cpu_ticks(pid: int) -> int:
    """Return the user and system time of a process so far, in clock ticks; see proc_pid_stat(5)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])
