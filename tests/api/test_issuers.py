"""An issuer elsewhere and the keys that it publishes, as Better Auth does; and accounts that are gone."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.forged_tokens import SMALL_ORDER, exponent_1_token, small_order_jwk, small_order_token
from tests.support.server import Server, eventually, find_free_port, run_server
from tests.support.token_issuers import ORIGIN, KeySetServer, encoded, issuer, minted, private_key, public_jwk
from tests.support.users import User


def asked(server: Server, bearer: str) -> httpx.Response:
    return httpx.get(
        f"{server.url}/api/ada/tasks", headers={"Authorization": f"Bearer {bearer}"}, timeout=20, verify=False
    )


def settings(jwks_url: str, database_url: str) -> dict[str, str]:
    issuer = {"JWKS_URL": jwks_url, "JWT_ISSUER": ORIGIN, "JWT_AUDIENCE": ORIGIN}
    return issuer | {"DATABASE_URL": database_url}


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes an empty database. What is stored does not matter to most of these tests."""
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('issuers') / 'todo.db'}"


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    with KeySetServer(public_jwk("EdDSA")).serving() as url:
        yield url


@pytest.fixture(scope="module")
def server(jwks_url: str, sqlite: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server that takes the tokens of the issuer there."""
    with run_server(folder, **settings(jwks_url, sqlite())) as server:
        yield server


@pytest.mark.parametrize("path", ["signup", "login", "jwks"])
def test_accounts_are_kept_elsewhere(server: Server, path: str):
    credentials = None if path == "jwks" else {"email": "ada@example.com", "password": "three green parrots"}
    method = "POST" if credentials else "GET"
    answer = httpx.request(method, f"{server.url}/api/auth/{path}", json=credentials, verify=False)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:todo:problem:outside-issuer"


def test_first_write_of_an_unknown_user_is_stored(
    new_database: Callable[[], str], jwks_url: str, folder: Path
):
    with (
        run_server(folder, **settings(jwks_url, new_database())) as server,
        open_client(server.url) as http,
    ):
        ada = User(http, "ada", minted("EdDSA"))
        assert ada.get().json() == []
        tasks = [ada.create_task("Buy milk"), ada.create_task("Buy bread")]
        assert ada.get(order="asc").json() == tasks


def test_new_key_is_taken_up_and_an_outage_after_it_costs_nothing(sqlite: Callable[[], str], folder: Path):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving() as url, run_server(folder, **settings(url, sqlite())) as server:
        assert asked(server, minted("EdDSA")).status_code == 200
        publisher.publish(public_jwk("EdDSA-2"), public_jwk("EdDSA"))
        assert eventually(lambda: asked(server, minted("EdDSA-2")).status_code == 200, within_s=10)
        publisher.body, so_far = b'{"message": "down"}', publisher.asked
        assert eventually(lambda: asked(server, minted("EdDSA-3")) and publisher.asked > so_far, within_s=10)
        assert asked(server, minted("EdDSA")).status_code == 200


def test_key_that_is_withdrawn_opens_nothing_once_a_new_one_is_known(sqlite: Callable[[], str], folder: Path):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving() as url, run_server(folder, **settings(url, sqlite())) as server:
        assert asked(server, minted("EdDSA")).status_code == 200
        publisher.publish(public_jwk("EdDSA-2"))
        assert eventually(lambda: asked(server, minted("EdDSA-2")).status_code == 200, within_s=10)
        assert asked(server, minted("EdDSA")).status_code == 401


def test_issuer_that_is_away_from_the_start_is_503_until_it_comes(sqlite: Callable[[], str], folder: Path):
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/api/auth/jwks"
    with run_server(folder, **settings(url, sqlite())) as server:
        answer = asked(server, minted("EdDSA"))
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        with KeySetServer(public_jwk("EdDSA")).serving(port):
            assert eventually(lambda: asked(server, minted("EdDSA")).status_code == 200, within_s=10)


def test_flood_of_unknown_keys_is_no_flood_of_fetches(sqlite: Callable[[], str], folder: Path):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving() as url, run_server(folder, **settings(url, sqlite())) as server:
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            tokens = [issuer("EdDSA").headed(kid=f"unknown-{number}") for number in range(300)]
            answers = list(threads.map(partial(asked, server), tokens))
        took_s = time.monotonic() - began
    assert {answer.status_code for answer in answers} == {401}
    assert publisher.asked <= 1 + took_s / 2


@pytest.mark.parametrize("changes", [{"exp": 7}, {"iss": "http://localhost:3001"}, {"aud": "y"}, {"sub": ""}])
def test_token_that_is_not_for_this_server_has_no_key_fetched(
    sqlite: Callable[[], str], folder: Path, changes: dict[str, Any]
):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving() as url, run_server(folder, **settings(url, sqlite())) as server:
        assert asked(server, minted("EdDSA", **changes)).status_code == 401
    assert publisher.asked == 0


def test_issuer_that_hangs_holds_up_only_those_who_need_its_keys(sqlite: Callable[[], str], folder: Path):
    publisher = KeySetServer(public_jwk("EdDSA"))
    with (
        publisher.serving() as url,
        run_server(folder, **settings(url, sqlite())) as server,
        publisher.hanging(),
        ThreadPoolExecutor(8) as threads,
    ):
        waiting = [threads.submit(asked, server, minted("EdDSA")) for _ in range(8)]
        assert eventually(lambda: publisher.asked == 1, within_s=10)
        assert httpx.get(f"{server.url}/health/live", timeout=2).status_code == 200
        assert not any(request.done() for request in waiting)
        publisher.answer()
        assert [request.result().status_code for request in waiting] == [200] * 8
    assert publisher.asked == 1


GARBAGE = [
    *(None, 7, "key", [], {}, {"kid": 7, "kty": "OKP", "crv": "Ed25519", "x": "A" * 43}),
    *({"kid": "x"} | members for members in (
        {},
        {"kty": {}, "alg": {}},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "RSA", "n": None, "e": []},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": ["RS256"]},
        {"kty": "oct", "k": "A" * 43},
    )),
]  # fmt: skip
UNUSABLE = {
    "a key for encryption": lambda: public_jwk("EdDSA-encryption", use="enc"),
    "a key for encryption, by its operations": lambda: public_jwk("RS256-operations", key_ops=["encrypt"]),
    "a key for no use": lambda: public_jwk("EdDSA-no-use", use=""),
    "a key of another curve": lambda: public_jwk("Ed448"),
    "a private key": lambda: public_jwk(
        "EdDSA-private", d=encoded(private_key("EdDSA-private").private_bytes_raw())
    ),
    "a private key by its primes": lambda: public_jwk("RS256-primes", **primes("RS256-primes")),
    "a key of another algorithm": lambda: public_jwk("ES256-other", alg="ES512"),
    "a key of a secret's algorithm": lambda: public_jwk("EdDSA-secret", alg="HS256"),
    "an RSA key of an encryption": lambda: public_jwk("RS256-encryption", alg="RSA-OAEP-256"),
    "an RSA key of another kind's algorithm": lambda: public_jwk("RS256-other", alg="EdDSA"),
    "an RSA key of 1024 bits, for RS256 (RFC 7518 3.3)": lambda: public_jwk("RS256-short"),
    "an RSA key of 1024 bits, for PS256 (RFC 7518 3.5)": lambda: public_jwk("PS256-short"),
}


def primes(kid: str) -> dict[str, str]:
    numbers = private_key(kid).private_numbers()
    return {name: encoded(getattr(numbers, name).to_bytes(128, "big")) for name in ("p", "q")}


@pytest.fixture(scope="module")
def littered(sqlite: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server whose issuer publishes one good key among what is none."""
    unusable = [make() for make in UNUSABLE.values()]
    open_to_all = [*map(small_order_jwk, SMALL_ORDER), public_jwk("RS256-exponent-1", e="AQ")]
    publisher = KeySetServer(*GARBAGE, *unusable, *open_to_all, public_jwk("EdDSA"), *GARBAGE)
    with publisher.serving() as url, run_server(folder, **settings(url, sqlite())) as server:
        yield server


def test_good_key_among_garbage_opens_the_tasks(littered: Server):
    assert asked(littered, minted("EdDSA")).status_code == 200


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_published_key_that_is_not_for_signatures_opens_nothing(
    littered: Server, make: Callable[[], dict[str, Any]]
):
    assert asked(littered, minted(make()["kid"])).status_code == 401


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_published_point_that_needs_no_private_key_opens_nothing(littered: Server, point: str):
    assert asked(littered, small_order_token(point)).status_code == 401


def test_published_exponent_that_needs_no_private_key_opens_nothing(littered: Server):
    assert asked(littered, exponent_1_token("RS256-exponent-1")).status_code == 401


def test_token_of_an_account_that_is_gone_creates_nothing(account_server: Server, accounts: httpx.Client):
    credentials = {"email": "mary@example.com", "password": "three green parrots"}
    user_id = accounts.post("/api/auth/signup", json=credentials).json()["id"]
    mary = User(accounts, user_id, accounts.post("/api/auth/login", json=credentials).json()["access_token"])
    mary.create_task()
    with account_server.database() as connection:
        connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": user_id})
    assert mary.post({"title": "Buy milk"}).status_code == 401
    assert mary.get().json() == []
