"""`todo check-config` shows the settings without secrets, and tries what they lead to."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli import check_config
from cli.errors import CommandError
from settings import Settings
from tests.support.command_line import call_todo
from tests.support.databases import on_sqlite
from tests.support.server import Server, find_free_port, open_engine
from tests.support.token_issuers import KeySetServer, public_jwk
from tests.support.users import SECRET

CANARY = "c4n4ry"
ISSUER = {"JWT_ISSUER": "http://localhost:3000", "JWT_AUDIENCE": "http://localhost:3000"}


def run_check(check: Any, **settings: str) -> str:
    """Return what one check prints. Raise CommandError when something is wrong."""
    return str(asyncio.run(check(Settings.from_environment(settings))))


def test_default_settings_pass_every_check_and_nothing_is_created(tmp_path: Path):
    (tmp_path / ".env").write_text(f"PORT={find_free_port()}\nLOG_LEVEL=debug\n")
    ended = call_todo(tmp_path, "check-config", BETTER_AUTH_SECRET=SECRET, LOG_LEVEL="ERROR")
    assert (ended.status, ended.errors) == (0, "")
    lines = {line.split()[0]: line for line in ended.output.splitlines() if line}
    assert lines["PORT"].endswith("(.env)")
    assert lines["LOG_LEVEL"].endswith("ERROR  (environment)")
    assert lines["HOST"].endswith("127.0.0.1  (default)")
    assert SECRET not in ended.output
    assert ended.output.count("\nok ") == 5
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_everything_wrong_is_reported_at_once_without_a_secret(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {
            "DATABASE_URL": f"postgresql://ada:{CANARY}@127.0.0.1:1/todo?sslpassword={CANARY}",
            "JWKS_URL": f"http://localhost:1/jwks?key={CANARY}",
            "RATE_LIMIT_STORAGE": f"redis://ada:{CANARY}@127.0.0.1:1/0",
            "PORT": str(other.getsockname()[1]),
        }
        ended = call_todo(tmp_path, "check-config", **settings, **ISSUER)
    assert (ended.status, ended.errors) == (1, "")
    wrong = [line for line in ended.output.splitlines() if line.startswith("WRONG")]
    assert [line.split()[1] for line in wrong] == ["database", "keys", "rate", "port"]
    assert [name for name, line in zip(settings, wrong, strict=True) if name not in line] == []
    assert CANARY not in ended.output


def test_database_file_that_cannot_be_written_is_wrong(tmp_path: Path):
    with pytest.raises(CommandError, match="missing does not exist"):
        run_check(check_config._check_database, DATABASE_URL=f"sqlite:///{tmp_path / 'missing' / 'todo.db'}")


@on_sqlite
def test_running_server_of_these_settings_is_no_error(account_server: Server):
    settings = {name: account_server.settings[name] for name in ("DATABASE_URL", "PORT")}
    assert "already" in run_check(check_config._check_port, **settings)
    assert "the newest" in run_check(check_config._check_database, **settings)


def test_state_of_the_schema_is_reported(new_database: Callable[[], str], tmp_path: Path):
    url = new_database()
    assert "no tables" in run_check(check_config._check_database, DATABASE_URL=url)
    call_todo(tmp_path, "migrate", DATABASE_URL=url)
    assert "the newest" in run_check(check_config._check_database, DATABASE_URL=url)
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE todo_schema_version SET version_num = '0002'"))
        assert "0002" in run_check(check_config._check_database, DATABASE_URL=url)
        with pytest.raises(CommandError, match="0002, and RUN_MIGRATIONS is off"):
            run_check(check_config._check_database, DATABASE_URL=url, RUN_MIGRATIONS="off")
        connection.execute(text("UPDATE todo_schema_version SET version_num = '9999'"))
        assert "newer than" in run_check(check_config._check_database, DATABASE_URL=url)
    engine.dispose()


KEY_SETS = [
    (
        {"keys": [public_jwk("EdDSA-1"), public_jwk("ES256-1"), {"kty": "oct", "kid": CANARY}]},
        "2 at JWKS_URL",
    ),
    ({"keys": []}, "no key can verify"),
    ({"keys": [public_jwk("RS256-short")]}, "no key can verify"),
    ([CANARY], "not a key set"),
]


def test_usable_keys_of_the_issuer_are_counted():
    for document, expected in KEY_SETS:
        issuer = KeySetServer()
        issuer.body = json.dumps(document).encode()
        with issuer.serving() as url:
            printed = check_keys(url)
        assert expected in printed
        assert CANARY not in printed


def check_keys(url: str) -> str:
    try:
        return run_check(check_config._check_keys, JWKS_URL=url, **ISSUER)
    except CommandError as failure:
        return str(failure)
