"""`todo check-config`: what is set, and whether it works; never a secret."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli import checks, shown
from cli.failures import Failure
from persistence.database import parse
from settings import Settings
from tests.support.command_line import todo
from tests.support.server import Server, find_free_port, open_engine
from tests.support.token_issuers import KeySetServer, public_jwk
from tests.support.users import SECRET

CANARY = "canary-of-the-configuration"
ISSUER = {"JWT_ISSUER": "http://localhost:3000", "JWT_AUDIENCE": "http://localhost:3000"}


def checked(check: Any, **settings: str) -> str:
    """What one check says. Raises Failure."""
    return str(asyncio.run(check(Settings.from_environment(settings))))


def test_all_is_well_with_nothing_set_and_nothing_is_made(tmp_path: Path):
    (tmp_path / ".env").write_text(f"PORT={find_free_port()}\nLOG_LEVEL=debug\n")
    ended = todo(tmp_path, "check-config", BETTER_AUTH_SECRET=SECRET, LOG_LEVEL="ERROR")
    assert (ended.status, ended.errors) == (0, "")
    said = {line.split()[0]: line for line in ended.output.splitlines() if line}
    assert said["PORT"].endswith("(.env)")
    assert said["LOG_LEVEL"].endswith("ERROR  (environment)")
    assert said["HOST"].endswith("127.0.0.1  (default)")
    assert SECRET not in ended.output
    assert ended.output.count("\nok ") == 5
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {
            "DATABASE_URL": f"postgresql://ada:{CANARY}@127.0.0.1:1/todo?sslpassword={CANARY}",
            "JWKS_URL": f"http://localhost:1/jwks?key={CANARY}",
            "RATE_LIMIT_STORAGE": f"redis://ada:{CANARY}@127.0.0.1:1/0",
            "PORT": str(other.getsockname()[1]),
        }
        ended = todo(tmp_path, "check-config", **settings, **ISSUER)
    assert (ended.status, ended.errors) == (1, "")
    wrong = [line for line in ended.output.splitlines() if line.startswith("WRONG")]
    assert [line.split()[1] for line in wrong] == ["database", "keys", "rate", "port"]
    assert [name for name, line in zip(settings, wrong, strict=True) if name not in line] == []
    assert CANARY not in ended.output


def test_wrong_settings_are_all_named(tmp_path: Path):
    ended = todo(tmp_path, "check-config", PORT=CANARY, WORKERS=CANARY)
    assert (ended.status, ended.output) == (1, "")
    assert [name for name in ("PORT", "WORKERS") if name not in ended.errors] == []
    assert CANARY not in ended.errors


def test_beside_its_own_server_the_port_is_no_fault(account_server: Server):
    settings = {name: account_server.settings[name] for name in ("DATABASE_URL", "PORT")}
    assert "already" in checked(checks._port, **settings)
    assert "the newest" in checked(checks._database, **settings)


def test_state_of_the_schema_is_told(new_database: Callable[[], str], folder: Path):
    url = new_database()
    assert "empty" in checked(checks._database, DATABASE_URL=url)
    todo(folder, "migrate", DATABASE_URL=url)
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE todo_schema_version SET version_num = '0002'"))
        assert "0002" in checked(checks._database, DATABASE_URL=url)
        connection.execute(text("UPDATE todo_schema_version SET version_num = '9999'"))
        with pytest.raises(Failure, match="newer version"):
            checked(checks._database, DATABASE_URL=url)
    engine.dispose()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([public_jwk("EdDSA-1"), public_jwk("ES256-1"), {"kty": "oct", "kid": CANARY, "k": CANARY}], "2 at"),
        ([], "no key"),
        ([public_jwk("RS256-short")], "no key"),
    ],
)
def test_keys_of_the_issuer_are_fetched_and_counted(keys: list[Any], said: str):
    with KeySetServer(*keys).serving() as url:
        if said == "no key":
            with pytest.raises(Failure, match=said):
                checked(checks._keys, JWKS_URL=url, **ISSUER)
        else:
            assert said in checked(checks._keys, JWKS_URL=url, **ISSUER)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{CANARY}@db.example.com/todo",
        f"postgresql://ada:x#{CANARY}@db.example.com/todo",
        f"postgresql://ada:x?{CANARY}@db.example.com/todo",
        f"postgresql://db.example.com/todo?password={CANARY}",
        f"postgresql://db.example.com/todo?sslpassword={CANARY}&options={CANARY}",
        f"postgresql://ada:{CANARY}@/todo?host=a:5432&host=b:5432",
    ],
)
def test_password_of_the_database_is_never_shown(url: str):
    [line] = [said for said in shown.lines_of(Settings(database_url=url)) if "DATABASE_URL" in said]
    assert CANARY not in line
    assert "set" in line


@pytest.mark.parametrize("password", [f"{CANARY}@me", f"x/{CANARY}", f"x@{CANARY}"])
def test_password_that_runs_into_the_host_is_refused_and_not_repeated(password: str):
    with pytest.raises(ValueError, match="holds an @ too many") as refused:
        parse(f"postgresql://ada:{password}@db.example.com/todo")
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{CANARY}@redis.example.com:6379/0",
        f"redis://ada:{CANARY}@redis.example.com/0?password={CANARY}",
        f"redis://ada:1#{CANARY}@redis.example.com",
    ],
)
def test_password_of_redis_is_never_shown(url: str):
    [line] = [said for said in shown.lines_of(Settings(rate_limit_storage=url)) if "_STORAGE" in said]
    assert CANARY not in line
