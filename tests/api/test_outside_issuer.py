"""An outside issuer that publishes its keys, as Better Auth does. tests/unit/test_keys.py has their life."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.databases import on_sqlite
from tests.support.server import Server, eventually, find_free_port, run_server
from tests.support.token_issuers import ORIGIN, KeySetServer, minted, new_issuer, public_jwk
from tests.support.users import User


def list_tasks(http: httpx.Client, token: str) -> httpx.Response:
    return http.get("/api/ada/tasks", headers={"Authorization": f"Bearer {token}"})


@on_sqlite
@pytest.mark.parametrize(("method", "path"), [("POST", "signup"), ("POST", "login"), ("GET", "jwks")])
def test_accounts_are_404_with_an_outside_issuer(http: httpx.Client, method: str, path: str):
    credentials = {"email": "ada@example.com", "password": "three green parrots"}
    response = http.request(method, f"/api/auth/{path}", json=credentials if method == "POST" else None)
    assert response.status_code == 404
    assert response.json()["type"] == "urn:todo:problem:outside-issuer"


def test_first_write_of_a_user_stores_the_user(secret_server: Server, ada: User):
    def is_stored() -> bool:
        with secret_server.database() as connection:
            return bool(connection.scalar(text("SELECT 1 FROM users WHERE id = :id"), {"id": ada.id}))

    assert ada.get().json() == []
    assert not is_stored()
    tasks = [ada.create_task("Buy milk"), ada.create_task("Buy bread")]
    assert is_stored()
    assert ada.get(order="asc").json() == tasks


@pytest.fixture
def port() -> int:
    """The port of an issuer that is not running yet."""
    return find_free_port()


@pytest.fixture
def client(port: int, folder: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server whose issuer publishes its keys at `port`."""
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}",
        "JWT_ISSUER": ORIGIN,
        "JWT_AUDIENCE": ORIGIN,
    }
    with (
        run_server(folder, JWKS_URL=f"http://127.0.0.1:{port}/api/auth/jwks", **settings) as server,
        open_client(server.url) as client,
    ):
        yield client


def test_missing_keys_are_503_and_known_keys_survive_an_outage(client: httpx.Client, port: int):
    def status_of(kid: str) -> int:
        return list_tasks(client, minted(kid)).status_code

    response = list_tasks(client, minted("EdDSA"))
    assert response.status_code == 503
    assert 1 <= int(response.headers["retry-after"]) <= 60
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving(port):
        assert eventually(lambda: status_of("EdDSA") == 200, within_s=10)
        assert_unknown_kids_cause_few_fetches(client, publisher)
    assert eventually(lambda: status_of("EdDSA-unknown") == 503, within_s=10)
    assert status_of("EdDSA") == 200


def assert_unknown_kids_cause_few_fetches(client: httpx.Client, publisher: KeySetServer) -> None:
    began, before = time.monotonic(), publisher.request_count
    with ThreadPoolExecutor(8) as threads:
        tokens = [new_issuer("EdDSA").with_header(kid=f"unknown-{number}") for number in range(300)]
        responses = list(threads.map(partial(list_tasks, client), tokens))
    assert {response.status_code for response in responses} == {401}
    assert publisher.request_count - before <= 1 + (time.monotonic() - began) / 2
