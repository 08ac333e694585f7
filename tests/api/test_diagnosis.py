"""What an operator learns of a rejected request: from the log, and from `todo check-token`; never a value."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.command_line import Finished, call_todo
from tests.support.databases import on_sqlite
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, sign_token

NOW = int(time.time())
ISSUER = "https://app.example.com"
SETTINGS = {"BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": ISSUER}
PURPOSE = {"iss": ISSUER, "aud": ISSUER}
OTHER_SECRET = SECRET[::-1]
CANARY = "c4n4ry"


def sign(header: dict[str, Any] | None = None, secret: str = SECRET, **claims: Any) -> str:
    payload = {"sub": CANARY, "exp": NOW + 3600} | PURPOSE | claims
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, "HS256", headers=header)


TOKENS: dict[str, tuple[str, str]] = {
    "a session token": ("format", CANARY * 5),
    "an unknown type": ("typ", sign({"typ": "better-auth.session-cache+jwt"})),
    "another algorithm": ("alg", jwt.encode({"sub": CANARY}, SECRET * 2, "HS512")),
    "another secret": ("signature", sign(secret=OTHER_SECRET)),
    "another issuer": ("iss", sign(iss="http://localhost:3000")),
    "another audience": ("aud", sign(aud=["http://localhost:3000"])),
    "an expired token": ("exp", sign(exp=NOW - 3600)),
    "no expiry": ("exp", sign(exp=None)),
    "not valid yet": ("nbf", sign(nbf=NOW + 1800)),
    "no user": ("sub", sign(sub=None)),
    "an odd user": ("sub", sign(sub=f"/{CANARY}")),
}


def records_of(server: Server, responses: list[httpx.Response]) -> list[dict[str, Any]]:
    """Return the log record of each response."""
    lines = [json.loads(line) for line in server.log.splitlines()]
    by_id = {line["request_id"]: line for line in lines if line["event"] == "request"}
    return [by_id[response.headers["x-request-id"]] for response in responses]


def test_log_names_the_first_check_that_a_token_fails_and_the_response_does_not(folder: Path, tmp_path: Path):
    with (
        run_server(folder, DATABASE_URL=f"sqlite:///{tmp_path}/todo.db", **SETTINGS) as server,
        httpx.Client(base_url=server.url, verify=False) as http,
    ):
        users = [User(http, CANARY, token) for _, token in TOKENS.values()]
        responses = [user.get() for user in users]
        assert User(http, CANARY, sign()).get().status_code == 200
    records = records_of(server, responses)
    reasons = dict(zip(TOKENS, [(found["problem"], found["reason"]) for found in records], strict=True))
    assert reasons == {name: ("invalid-token", reason) for name, (reason, _) in TOKENS.items()}
    seen = {response.text.replace(response.headers["x-request-id"], "") for response in responses}
    assert len(seen) == 1
    assert {response.status_code for response in responses} == {401}
    assert [token for _, token in TOKENS.values() if token in server.log] == []


@on_sqlite
def test_log_names_the_type_of_a_problem_and_the_violations(secret_server: Server, ada: User):
    responses = [
        ada.post({"title": CANARY * 40, "completed": CANARY}),
        ada.request("GET", f"?{CANARY}=1&limit=0"),
        ada.get("/1"),
        ada.http.get(ada.tasks),
        ada.http.options(
            ada.tasks, headers={"Origin": f"https://{CANARY}", "Access-Control-Request-Method": "GET"}
        ),
        ada.http.options(
            ada.tasks, headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "TRACE"}
        ),
    ]
    told = [
        {name: record.get(name) for name in ("problem", "violations", "reason") if name in record}
        for record in records_of(secret_server, responses)
    ]
    assert told == [
        {
            "problem": "invalid-request",
            "violations": ["body/title maxLength", "body/completed type"],
        },
        {
            "problem": "invalid-request",
            "violations": ["query/limit minimum", "query additionalProperties"],
        },
        {"problem": "not-found"},
        {"problem": "unauthenticated"},
        {"problem": "preflight-refused", "reason": "origin is not in CORS_ORIGINS"},
        {"problem": "preflight-refused", "reason": "method or header"},
    ]


def test_issuer_with_a_path_or_a_slash_is_a_warning_in_the_log_and_in_check_config(
    folder: Path, tmp_path: Path
):
    url = f"sqlite:///{tmp_path}/todo.db"
    settings = SETTINGS | {"JWT_ISSUER": f"{ISSUER}/", "JWT_AUDIENCE": f"{ISSUER}/api/auth"}
    with run_server(folder, DATABASE_URL=url, **settings) as server:
        warnings = [json.loads(line) for line in server.log.splitlines() if '"warning"' in line]
    told = call_todo(tmp_path, "check-config", DATABASE_URL=url, PORT=server.settings["PORT"], **settings)
    for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
        assert [line["event"] for line in warnings if name in line["event"]]
        assert [line for line in told.output.splitlines() if line.startswith("WARN") and name in line]
    assert call_todo(tmp_path, "check-config", DATABASE_URL=url, **SETTINGS).output.count("WARN") == 0


def check(folder: Path, token: str, **settings: str) -> Finished:
    return call_todo(folder, "check-token", given=f"{token}\n", **(settings or SETTINGS))


@pytest.mark.parametrize("name", TOKENS)
def test_check_token_explains_why_a_token_is_rejected(tmp_path: Path, name: str):
    reason, token = TOKENS[name]
    ended = check(tmp_path, token)
    assert (ended.status, ended.output) == (1, "")
    assert ended.errors.startswith(f"todo: rejected ({reason}): ")
    assert token[:20] not in ended.errors


def test_check_token_names_both_issuers(tmp_path: Path):
    told = check(tmp_path, sign(iss="http://localhost:3000")).errors
    assert "http://localhost:3000" in told
    assert ISSUER in told


def test_check_token_names_the_user_of_a_valid_token(tmp_path: Path):
    for text in (sign(), f"Bearer {sign()}", f"  {sign()}  "):
        assert check(tmp_path, text) == (0, f"valid: the user is {CANARY}\n", "")


def test_check_token_knows_the_keys_of_the_built_in_issuer(
    account_server: Server, tmp_path: Path, accounts: httpx.Client
):
    credentials = {"email": "token@example.com", "password": "three green parrots"}
    user_id = accounts.post("/api/auth/signup", json=credentials).json()["id"]
    token = accounts.post("/api/auth/login", json=credentials).json()["access_token"]
    settings = {"DATABASE_URL": account_server.settings["DATABASE_URL"], "PUBLIC_URL": account_server.url}
    assert check(tmp_path, token, **settings) == (0, f"valid: the user is {user_id}\n", "")
    assert "rejected (iss)" in check(tmp_path, token, **settings | {"PUBLIC_URL": ISSUER}).errors


@on_sqlite
def test_token_of_the_previous_secret_is_accepted_during_a_rotation(
    folder: Path, new_database: Callable[[], str]
):
    settings = {"BETTER_AUTH_SECRET": OTHER_SECRET, "BETTER_AUTH_SECRET_PREVIOUS": SECRET}
    with (
        run_server(folder, DATABASE_URL=new_database(), **settings) as server,
        httpx.Client(base_url=server.url, verify=False) as http,
    ):
        old, new, forged = sign_token("ada"), sign(secret=OTHER_SECRET, sub="ada"), sign(secret=SECRET * 2)
        expired = sign_token("ada", exp=NOW - 60)
        statuses = [User(http, "ada", token).get().status_code for token in (old, old, new, forged, expired)]
    assert statuses == [200, 200, 200, 401, 401]
