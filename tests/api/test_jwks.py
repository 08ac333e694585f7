"""GET /api/auth/jwks: the public half of the one key that all servers on a database share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest

from tests.support.contract_checks import open_client
from tests.support.server import start_server, wait_until_live

PUBLIC_URL = "https://todo.example.com"  # of all servers behind one load balancer
CREDENTIALS = {"email": "ada@example.com", "password": "three green parrots"}


class Pair(NamedTuple):
    """Two servers on one database: their clients, the keys that each published first, and a token of each."""

    clients: list[httpx.Client]
    keys: list[Any]
    user_id: str
    tokens: list[str]


@pytest.fixture(scope="module")
def pair(new_database: Callable[[], str], folder: Path) -> Iterator[Pair]:
    """Two servers that start at the same time on an empty database, and publish keys at the same time."""
    settings = {"DATABASE_URL": new_database(), "PUBLIC_URL": PUBLIC_URL}
    with ExitStack() as stack:
        servers = [start_server(folder, **settings) for _ in range(2)]
        for server in servers:
            stack.callback(server.stop)
        for server in servers:
            wait_until_live(server, path="/health/ready")
        clients = [stack.enter_context(open_client(server.url)) for server in servers]
        with ThreadPoolExecutor(2) as threads:
            keys = list(threads.map(published_keys, clients))
        user_id = clients[0].post("/api/auth/signup", json=CREDENTIALS).json()["id"]
        yield Pair(clients, keys, user_id, list(map(log_in, clients)))


def published_keys(client: httpx.Client) -> Any:
    return client.get("/api/auth/jwks").json()["keys"]


def log_in(client: httpx.Client) -> str:
    return str(client.post("/api/auth/login", json=CREDENTIALS).json()["access_token"])


def test_two_servers_that_start_at_once_have_one_key(pair: Pair):
    first, second = pair.keys
    assert first == second == published_keys(pair.clients[0])
    assert len(first) == 1


def test_token_of_one_server_is_valid_at_the_other(pair: Pair):
    statuses = [
        client.get(f"/api/{pair.user_id}/tasks", headers={"Authorization": f"Bearer {token}"}).status_code
        for client in pair.clients
        for token in pair.tokens
    ]
    assert statuses == [200] * 4


def test_published_key_verifies_the_token_of_a_login(pair: Pair):
    [key] = pair.keys[0]
    assert jwt.get_unverified_header(pair.tokens[0])["kid"] == key["kid"]
    claims = jwt.decode(
        pair.tokens[0], jwt.PyJWK(key), algorithms=["EdDSA"], issuer=PUBLIC_URL, audience=PUBLIC_URL
    )
    assert claims["sub"] == pair.user_id


def test_published_key_has_no_private_half(pair: Pair):
    [key] = pair.keys[0]
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
