"""GET /api/auth/jwks: one key, shared by every server on a database, which outlives them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest

from tests.support.server import Server, run_server, start_server, wait_until_live

PUBLIC_URL = "https://todo.example.com"  # what servers behind one balancer have in common
CREDENTIALS = {"email": "ada@example.com", "password": "three green parrots"}


class Pair(NamedTuple):
    """Two servers on one database, and the keys that each gave when both were first asked."""

    servers: list[Server]
    keys: list[Any]
    user_id: str


@pytest.fixture(scope="module")
def pair(new_database: Callable[[], str], folder: Path) -> Iterator[Pair]:
    """Started at once on an empty database, asked at once for their keys."""
    settings = {"DATABASE_URL": new_database(), "PUBLIC_URL": PUBLIC_URL}
    servers = [start_server(folder, **settings), start_server(folder, **settings)]
    try:
        for server in servers:
            wait_until_live(server, path="/health/ready")
        with ThreadPoolExecutor(2) as threads:
            keys = list(threads.map(published, servers))
        yield Pair(servers, keys, sign_up(servers[0]))
    finally:
        for server in servers:
            server.stop()


def published(server: Server) -> Any:
    answer = httpx.get(f"{server.url}/api/auth/jwks", verify=False)
    assert answer.status_code == 200, answer.text
    return answer.json()["keys"]


def sign_up(server: Server) -> str:
    answer = httpx.post(f"{server.url}/api/auth/signup", json=CREDENTIALS, verify=False)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def log_in(server: Server) -> str:
    answer = httpx.post(f"{server.url}/api/auth/login", json=CREDENTIALS, verify=False)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def opens(server: Server, user_id: str, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/api/{user_id}/tasks", headers=headers, verify=False).status_code == 200


def test_two_servers_that_start_at_once_have_one_key(pair: Pair):
    first, second = pair.keys
    assert first == second
    assert len(first) == 1


def test_tokens_of_one_server_open_tasks_at_the_other(pair: Pair):
    one, other = pair.servers
    assert opens(other, pair.user_id, log_in(one))
    assert opens(one, pair.user_id, log_in(other))


def test_key_verifies_a_logins_token(pair: Pair):
    token = log_in(pair.servers[0])
    [key] = [jwt.PyJWK(key) for key in pair.keys[0] if key["kid"] == jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], issuer=PUBLIC_URL, audience=PUBLIC_URL)
    assert claims["sub"] == pair.user_id


def test_key_has_its_public_half_only(pair: Pair):
    [key] = pair.keys[0]
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}


def test_key_survives_a_restart(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "PUBLIC_URL": PUBLIC_URL}
    with run_server(folder, **settings) as server:
        user_id, token, keys = sign_up(server), log_in(server), published(server)
    with run_server(folder, **settings) as restarted:
        assert published(restarted) == keys
        assert opens(restarted, user_id, token)
