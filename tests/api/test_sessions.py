"""Sessions of the built-in accounts: refresh, rotation, reuse, logout, expiry."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from sqlalchemy import insert, text

from persistence.tables import sessions as sessions_table
from tests.support.accounts import NEW_PASSWORD, PASSWORD, Account, create_account
from tests.support.command_line import call_todo
from tests.support.contract_checks import open_client
from tests.support.server import Server, eventually, run_server

HALF_A_MINUTE, QUARTER = timedelta(seconds=31), timedelta(minutes=15)
IDLE, YEAR = timedelta(days=30), timedelta(days=365)


@pytest.fixture
def grace(accounts: httpx.Client, account_server: Server) -> Account:
    """A new account."""
    return create_account(accounts, account_server)


def test_login_returns_an_access_token_and_a_refresh_token(grace: Account):
    session = grace.log_in()
    assert (session["expires_in"], session["refresh_expires_in"]) == (900, IDLE.total_seconds())
    user, session_id, secret = session["refresh_token"].split(".")
    assert user == grace.id == session["user"]["id"]
    assert (len(session_id), len(secret)) == (22, 43)  # 128 and 256 random bits
    assert grace.log_in()["refresh_token"].split(".")[1:] != [session_id, secret]


def test_refresh_returns_a_session_whose_tokens_work(grace: Account):
    first = grace.log_in()
    grace.let_pass(idle=QUARTER)
    response = grace.refresh(first["refresh_token"])
    second = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert second.keys() == first.keys()
    assert second["user"] == first["user"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["refresh_expires_in"] == IDLE.total_seconds()
    assert grace.as_user(second).get().status_code == 200
    assert jwt.decode(second["access_token"], options={"verify_signature": False})["sub"] == grace.id


def test_young_refresh_token_is_returned_as_it_is(grace: Account):
    token = grace.log_in()["refresh_token"]
    assert [grace.next_of(token) for _ in range(3)] == [token] * 3
    grace.let_pass(idle=HALF_A_MINUTE)
    rotated = grace.next_of(token)
    assert rotated != token
    assert grace.next_of(rotated) == rotated


def test_retry_after_a_lost_response_returns_the_same_next_token(grace: Account):
    token = grace.log_in()["refresh_token"]
    grace.let_pass(idle=QUARTER)
    lost = grace.next_of(token)
    assert [grace.next_of(token) for _ in range(3)] == [lost] * 3
    grace.let_pass(idle=QUARTER)
    assert grace.next_of(lost) not in {token, lost}


def test_two_tabs_refresh_again_and_again(grace: Account):
    token = grace.log_in()["refresh_token"]
    seen = {token}
    for _ in range(5):
        grace.let_pass(idle=QUARTER)
        with ThreadPoolExecutor(2) as tabs:
            nexts = set(tabs.map(grace.next_of, [token] * 2))
        assert len(nexts) == 1
        token = nexts.pop()
        seen.add(token)
    assert len(seen) == 6


def test_storm_of_refreshes_gives_one_next_token(grace: Account):
    token = grace.log_in()["refresh_token"]
    grace.let_pass(idle=QUARTER)
    with ThreadPoolExecutor(8) as clients:
        responses = [*clients.map(grace.refresh, [token] * 100)]
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["refresh_token"] for response in responses}) == 1
    assert grace.count_sessions() == 1


def test_copied_token_ends_the_session_of_the_thief_and_of_the_user(grace: Account):
    token, other = (grace.log_in()["refresh_token"] for _ in range(2))
    grace.let_pass(idle=QUARTER)
    current = grace.next_of(token)
    grace.let_pass(idle=HALF_A_MINUTE)
    assert grace.refresh(token).status_code == 401
    assert grace.refresh(current).status_code == 401
    assert grace.next_of(other)


def test_token_of_two_rotations_ago_ends_the_session_at_once(grace: Account):
    first = grace.log_in()["refresh_token"]
    grace.let_pass(idle=QUARTER)
    second = grace.next_of(first)
    grace.let_pass(idle=QUARTER)
    third = grace.next_of(second)
    assert grace.refresh(first).status_code == 401
    assert [grace.refresh(token).status_code for token in (second, third)] == [401, 401]


FORGERIES: dict[str, Callable[[list[str]], str]] = {
    "another secret": lambda parts: ".".join([*parts[:2], "x" * 43]),
    "no secret": lambda parts: ".".join([*parts[:2], ""]),
    "a truncated secret": lambda parts: ".".join(parts)[:-1],
    "a longer secret": lambda parts: ".".join(parts) + "x",
    "a secret beyond ASCII": lambda parts: ".".join(parts) + "é",
    "the digest of the secret": lambda parts: ".".join(
        [*parts[:2], hashlib.sha256(parts[2].encode()).hexdigest()]
    ),
}
STRANGERS: dict[str, Callable[[list[str]], str]] = {
    "another session": lambda parts: ".".join([parts[0], "x" * 22, parts[2]]),
    "another user": lambda parts: ".".join(["id-other", *parts[1:]]),
    "two parts": lambda parts: ".".join(parts[1:]),
    "four parts": lambda parts: ".".join([*parts, "x"]),
    "one part": lambda parts: parts[2],
    "white space": lambda parts: f" {'.'.join(parts)}",
    "other case": lambda parts: ".".join(parts).swapcase(),
    "words": lambda _: "not a token",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_wrong_secret_ends_the_session(grace: Account, name: str):
    token, other = (grace.log_in()["refresh_token"] for _ in range(2))
    assert grace.refresh(FORGERIES[name](token.split("."))).status_code == 401
    assert grace.refresh(token).status_code == 401
    assert grace.next_of(other) == other


@pytest.mark.parametrize("name", STRANGERS)
def test_token_of_no_session_is_rejected_and_changes_nothing(grace: Account, name: str):
    token = grace.log_in()["refresh_token"]
    assert grace.refresh(STRANGERS[name](token.split("."))).status_code == 401
    assert grace.next_of(token) == token


def test_every_rejected_token_has_the_same_response(grace: Account):
    token = grace.log_in()["refresh_token"]
    forged = [forge(token.split(".")) for forge in (*STRANGERS.values(), *FORGERIES.values())]
    responses = [grace.refresh(each) for each in forged]
    texts = {found.text.replace(found.headers["x-request-id"], "") for found in responses}
    assert [json.loads(text)["type"] for text in texts] == ["urn:todo:problem:session-ended"]
    assert {found.headers["www-authenticate"] for found in responses} == {"Bearer"}


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": "x" * 513}]
)
def test_body_without_a_refresh_token_is_400(grace: Account, body: dict[str, object]):
    assert grace.post("refresh", **body).status_code == 400


def test_token_of_another_users_session_is_rejected(grace: Account, accounts: httpx.Client):
    alan = create_account(accounts, grace.server)
    own, alans = (account.log_in()["refresh_token"].split(".") for account in (grace, alan))
    assert grace.refresh(".".join([own[0], *alans[1:]])).status_code == 401
    assert grace.refresh(".".join([alans[0], *own[1:]])).status_code == 401
    assert grace.next_of(".".join(own))
    assert alan.next_of(".".join(alans))


def test_logout_ends_its_session_alone(grace: Account):
    token, other = (grace.log_in()["refresh_token"] for _ in range(2))
    for _ in range(2):
        assert grace.post("logout", refresh_token=token).status_code == 204
    assert grace.refresh(token).status_code == 401
    assert grace.next_of(other) == other


def test_logout_with_a_replaced_token_ends_the_session(grace: Account):
    token = grace.log_in()["refresh_token"]
    grace.let_pass(idle=QUARTER)
    current = grace.next_of(token)
    assert grace.post("logout", refresh_token=token).status_code == 204
    assert grace.refresh(current).status_code == 401


@pytest.mark.parametrize("name", STRANGERS)
def test_logout_is_204_for_a_token_of_no_session(grace: Account, name: str):
    token = grace.log_in()["refresh_token"]
    assert grace.post("logout", refresh_token=STRANGERS[name](token.split("."))).status_code == 204
    assert grace.next_of(token) == token


@pytest.mark.parametrize(
    ("idle", "age", "status"),
    [
        (IDLE - timedelta(minutes=1), timedelta(), 200),
        (IDLE, timedelta(), 401),
        (timedelta(), YEAR - timedelta(minutes=1), 401),  # idle for as long
        (YEAR, YEAR, 401),
    ],
    ids=["idle for almost 30 days", "idle for 30 days", "almost a year old, and idle", "a year old"],
)
def test_session_ends_after_30_days_without_a_refresh(
    grace: Account, idle: timedelta, age: timedelta, status: int
):
    token = grace.log_in()["refresh_token"]
    grace.let_pass(idle=idle, age=age)
    assert grace.refresh(token).status_code == status


def test_session_that_is_refreshed_ends_after_a_year(grace: Account):
    token = grace.log_in()["refresh_token"]
    grace.let_pass(age=YEAR - timedelta(hours=1))
    grace.let_pass(idle=-(YEAR - timedelta(hours=1, minutes=1)))  # refreshed a minute ago
    refreshed = grace.refresh(token).json()
    assert 3500 < refreshed["refresh_expires_in"] <= 3600
    grace.let_pass(age=timedelta(hours=1))
    assert grace.refresh(refreshed["refresh_token"]).status_code == 401


def test_account_has_at_most_100_sessions_and_the_oldest_ends(grace: Account):
    first = grace.log_in()["refresh_token"]
    grace.let_pass(age=timedelta(minutes=1))
    now = datetime.now(UTC)
    rows = [
        {"user_id": grace.id, "id": f"{number}", "secret_digest": "x", "created_at": now, "rotated_at": now}
        for number in range(99)
    ]
    with grace.server.database() as connection:
        connection.execute(insert(sessions_table), rows)
    assert grace.next_of(first)
    latest = grace.log_in()["refresh_token"]
    assert grace.count_sessions() == 100
    assert grace.refresh(first).status_code == 401
    assert grace.next_of(latest) == latest


def test_two_servers_share_sessions(grace: Account, folder: Path):
    settings = {"DATABASE_URL": grace.server.settings["DATABASE_URL"], "PUBLIC_URL": grace.server.url}
    with run_server(folder, **settings) as second, open_client(second.url) as http:
        elsewhere = Account(http, second, grace.id, grace.email)
        token = grace.log_in()["refresh_token"]
        grace.let_pass(idle=QUARTER)
        with ThreadPoolExecutor(8) as clients:
            nexts = [*clients.map(lambda account: account.next_of(token), [grace, elsewhere] * 10)]
        assert len(set(nexts)) == 1
        session = elsewhere.refresh(nexts[0]).json()
        assert grace.as_user(session).get().status_code == 200
        assert grace.post("logout", refresh_token=nexts[0]).status_code == 204
        assert elsewhere.refresh(nexts[0]).status_code == 401


def test_no_secret_is_stored_or_logged(grace: Account):
    tokens = [grace.log_in()["refresh_token"]]
    for _ in range(2):
        grace.let_pass(idle=QUARTER)
        tokens.append(grace.next_of(tokens[-1]))
    grace.refresh(tokens[0])
    with grace.server.database() as connection:
        stored = repr(connection.execute(text("SELECT * FROM sessions")).all())
    for token in tokens:
        secret = token.split(".")[2]
        assert secret not in stored
        assert secret not in grace.server.log


def test_expired_sessions_are_removed(grace: Account, folder: Path):
    grace.log_in()
    grace.let_pass(idle=IDLE)
    grace.log_in()
    assert grace.count_sessions() == 2
    with run_server(folder, DATABASE_URL=grace.server.settings["DATABASE_URL"]):  # sweeps at its startup
        assert eventually(lambda: grace.count_sessions() == 1, within_s=10)


def test_set_password_ends_every_session(grace: Account, tmp_path: Path):
    token = grace.log_in()["refresh_token"]
    url = grace.server.settings["DATABASE_URL"]
    ended = call_todo(
        tmp_path, "user", "set-password", grace.email, given=f"{NEW_PASSWORD}\n", DATABASE_URL=url
    )
    assert ended == (0, "", "")
    assert grace.refresh(token).status_code == 401
    assert grace.post("login", email=grace.email, password=PASSWORD).status_code == 401
    assert grace.log_in(NEW_PASSWORD)
    for wrong in ("short", "password"):
        ended = call_todo(tmp_path, "user", "set-password", grace.email, given=f"{wrong}\n", DATABASE_URL=url)
        assert ended.status == 1
    assert grace.log_in(NEW_PASSWORD)


def test_removed_user_has_no_session(grace: Account, tmp_path: Path):
    token = grace.log_in()["refresh_token"]
    url = grace.server.settings["DATABASE_URL"]
    assert call_todo(tmp_path, "user", "remove", grace.email, "--yes", DATABASE_URL=url).status == 0
    assert grace.refresh(token).status_code == 401
    assert grace.count_sessions() == 0
