"""GET /api/auth/jwks: the public half of the one key that all servers on a database share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest

from tests.support.contract_checks import open_client
from tests.support.server import Server, find_free_port, run_server

CREDENTIALS = {"email": "two.servers@example.com", "password": "three green parrots"}


class Pair(NamedTuple):
    """The clients of two servers on one database, the id of an account, and a token from each server."""

    clients: list[httpx.Client]
    user_id: str
    tokens: list[str]


@pytest.fixture(scope="module")
def pair(account_server: Server, accounts: httpx.Client, folder: Path) -> Iterator[Pair]:
    """`account_server` and another server beside it, with the same public URL."""
    settings = account_server.settings | {"PORT": str(find_free_port()), "PUBLIC_URL": account_server.url}
    with run_server(folder, **settings) as other, open_client(other.url) as client:
        user_id = accounts.post("/api/auth/signup", json=CREDENTIALS).json()["id"]
        clients = [accounts, client]
        yield Pair(clients, user_id, list(map(log_in, clients)))


def published_keys(client: httpx.Client) -> Any:
    return client.get("/api/auth/jwks").json()["keys"]


def log_in(client: httpx.Client) -> str:
    return str(client.post("/api/auth/login", json=CREDENTIALS).json()["access_token"])


def test_two_servers_publish_the_same_key(pair: Pair):
    first, second = map(published_keys, pair.clients)
    assert first == second
    assert len(first) == 1


def test_token_of_one_server_is_valid_at_the_other(pair: Pair):
    statuses = [
        client.get(f"/api/{pair.user_id}/tasks", headers={"Authorization": f"Bearer {token}"}).status_code
        for client in pair.clients
        for token in pair.tokens
    ]
    assert statuses == [200] * 4


def test_published_key_verifies_the_token_of_a_login(pair: Pair, account_server: Server):
    [key] = published_keys(pair.clients[0])
    assert jwt.get_unverified_header(pair.tokens[0])["kid"] == key["kid"]
    url = account_server.url
    claims = jwt.decode(pair.tokens[0], jwt.PyJWK(key), algorithms=["EdDSA"], issuer=url, audience=url)
    assert claims["sub"] == pair.user_id


def test_published_key_has_no_private_half(accounts: httpx.Client):
    [key] = published_keys(accounts)
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
