"""`todo keys rotate`, beside a running server."""

from collections.abc import Callable
from pathlib import Path

import httpx
import jwt

from tests.support.command_line import call_todo
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.users import SECRET, User

CREDENTIALS = {"email": "rotation@example.com", "password": "three green parrots"}


def log_in(accounts: httpx.Client) -> User:
    session = accounts.post("/api/auth/login", json=CREDENTIALS).json()
    return User(accounts, session["user"]["id"], session["access_token"])


def test_rotation_ends_no_session_and_the_next_login_uses_the_new_key(
    new_database: Callable[[], str], folder: Path
):
    url = new_database()
    with run_server(folder, DATABASE_URL=url) as server, open_client(server.url) as accounts:
        accounts.post("/api/auth/signup", json=CREDENTIALS)
        before = log_in(accounts)
        ended = call_todo(folder, "keys", "rotate", DATABASE_URL=url)
        assert (ended.status, ended.errors) == (0, "")
        after = log_in(accounts)
        assert jwt.get_unverified_header(after.token)["kid"] == ended.output.strip()
        assert {user.get().status_code for user in (before, after)} == {200}
        published = [key["kid"] for key in accounts.get("/api/auth/jwks").json()["keys"]]
    assert published == [jwt.get_unverified_header(user.token)["kid"] for user in (after, before)]


def test_keys_of_an_outside_issuer_are_not_rotated_here(tmp_path: Path):
    ended = call_todo(tmp_path, "keys", "rotate", BETTER_AUTH_SECRET=SECRET)
    assert (ended.status, ended.output) == (1, "")
    assert "rotate" in ended.errors


def test_revocation_removes_every_previous_key(tmp_path: Path):
    call_todo(tmp_path, "migrate")
    first = call_todo(tmp_path, "keys", "rotate").output
    second = call_todo(tmp_path, "keys", "rotate", "--revoke").output
    third = call_todo(tmp_path, "keys", "rotate").output
    assert len({first, second, third}) == 3
