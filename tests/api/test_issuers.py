"""Tokens of an issuer elsewhere, as Better Auth publishes its keys; and of accounts that are gone."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, create_engine, make_url, text

from tests.issuers import Publisher, algorithm_of, private_key, public_jwk
from tests.people import SECRET, Person, token
from tests.promises import client_of
from tests.server import Server, free_port, running

ORIGIN = "http://localhost:3000"  # Better Auth's iss and aud: the frontend's origin
ALGORITHMS = ("EdDSA", "ES256", "RS256", "PS256")


def minted(signed_by: str, *, header: Any = None, algorithm: str | None = None, **changes: Any) -> str:
    """A token of ada's as Better Auth's jwt plugin makes it: no typ, her whole row beside the claims.

    A claim or a member of the header that is `...` is left out.
    """
    now = int(time.time())
    payload = {
        "iat": now, "name": "Ada Lovelace", "email": "ada@example.com", "emailVerified": False, "image": None,
        "createdAt": "2026-11-21T09:30:00.000Z", "updatedAt": "2026-11-21T09:30:00.000Z", "id": "ada",
        "sub": "ada", "exp": now + 900, "iss": ORIGIN, "aud": ORIGIN,
    } | changes  # fmt: skip
    payload, header = (
        {name: value for name, value in members.items() if value is not ...}
        for members in (payload, {"typ": None, "kid": signed_by} | (header or {}))
    )
    return jwt.encode(payload, private_key(signed_by), algorithm or algorithm_of(signed_by), headers=header)


def forged(secret: bytes) -> str:
    """HS256 with what is public as the secret (RFC 8725 2.1); by hand, since PyJWT refuses to."""
    header, payload, _ = minted("EdDSA").split(".")
    header = encoded(json.dumps({"alg": "HS256", "kid": "EdDSA"}).encode())
    mac = hmac.new(secret, f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return f"{header}.{payload}.{encoded(mac)}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_bytes(encoding: Encoding, form: PublicFormat) -> bytes:
    return bytes(private_key("EdDSA").public_key().public_bytes(encoding, form))


def seed(kid: str) -> bytes:
    return bytes(private_key(kid).private_bytes_raw())


def asked(server: Server, bearer: str) -> httpx.Response:
    return httpx.get(f"{server.url}/api/ada/tasks", headers={"Authorization": f"Bearer {bearer}"}, timeout=20)


def settings(jwks_url: str, database_url: str) -> dict[str, str]:
    issuer = {"JWKS_URL": jwks_url, "JWT_ISSUER": ORIGIN, "JWT_AUDIENCE": ORIGIN}
    return issuer | {"DATABASE_URL": database_url}


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes an empty database. What is stored does not matter to most of these tests."""
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('issuers') / 'todo.db'}"


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return Publisher(*map(public_jwk, ALGORITHMS))


@pytest.fixture(scope="module")
def jwks_url(publisher: Publisher) -> Iterator[str]:
    with publisher.serving() as url:
        yield url


@pytest.fixture(scope="module")
def server(jwks_url: str, sqlite: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server that takes the tokens of `publisher`."""
    with running(folder, **settings(jwks_url, sqlite())) as server:
        yield server


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_token_as_better_auth_makes_it_opens_the_tasks(server: Server, kid: str):
    assert asked(server, minted(kid)).status_code == 200


def test_audience_may_be_one_of_several(server: Server):
    assert asked(server, minted("EdDSA", aud=["https://other.example.com", ORIGIN])).status_code == 200


REFUSED: dict[str, Callable[[], str]] = {
    "another issuer": lambda: minted("EdDSA", iss="http://localhost:3001"),
    "the issuer with a slash": lambda: minted("EdDSA", iss=ORIGIN + "/"),
    "no issuer": lambda: minted("EdDSA", iss=...),
    "another audience": lambda: minted("EdDSA", aud="http://localhost:3001"),
    "an audience that is not among several": lambda: minted("EdDSA", aud=["http://localhost:3001"]),
    "no audience": lambda: minted("EdDSA", aud=...),
    "the session cache's audience": lambda: minted("EdDSA", aud="better-auth:session-cache"),
    "the session cache's typ": lambda: minted("EdDSA", header={"typ": "better-auth.session-cache+jwt"}),
    "an unknown kid": lambda: minted("EdDSA", header={"kid": "unknown"}),
    "no kid": lambda: minted("EdDSA", header={"kid": ...}),
    "another key's kid": lambda: minted("EdDSA", header={"kid": "ES256"}),
    "a key that is not published, under a kid that is": lambda: minted("EdDSA-2", header={"kid": "EdDSA"}),
    "another algorithm of the same key": lambda: minted("PS256", algorithm="RS256"),
    "HS256 with the public key's bytes": lambda: forged(public_bytes(Encoding.Raw, PublicFormat.Raw)),
    "HS256 with the public key's PEM": lambda: forged(
        public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 with the published x": lambda: forged(public_jwk("EdDSA")["x"].encode()),
    "HS256 with a secret": lambda: token("ada", iss=ORIGIN, aud=ORIGIN),
    "an opaque session token": lambda: "kBcZ0rUxVqLhYt2sWm9eDf3gHjKl4pQa",
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
def test_other_tokens_are_401(server: Server, made: Callable[[], str]):
    answer = asked(server, made())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("path", ["signup", "login", "jwks"])
def test_accounts_are_kept_elsewhere(server: Server, path: str):
    credentials = None if path == "jwks" else {"email": "ada@example.com", "password": "three green parrots"}
    method = "POST" if credentials else "GET"
    answer = httpx.request(method, f"{server.url}/api/auth/{path}", json=credentials)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:todo:problem:outside-issuer"


def test_first_write_of_an_unknown_user_is_stored(
    new_database: Callable[[], str], jwks_url: str, folder: Path
):
    with (
        running(folder, **settings(jwks_url, new_database())) as server,
        client_of(server.url) as http,
    ):
        ada = Person(http, "ada", minted("EdDSA"))
        assert ada.get().json() == []
        tasks = [ada.has_task("Buy milk"), ada.has_task("Buy bread")]
        assert ada.get(order="asc").json() == tasks


def test_new_key_is_taken_up_and_an_outage_after_it_costs_nothing(sqlite: Callable[[], str], folder: Path):
    publisher = Publisher(public_jwk("EdDSA"))
    with publisher.serving() as url, running(folder, **settings(url, sqlite())) as server:
        assert asked(server, minted("EdDSA")).status_code == 200
        publisher.publish(public_jwk("EdDSA-2"), public_jwk("EdDSA"))
        assert eventually(lambda: asked(server, minted("EdDSA-2")).status_code == 200, within_s=10)
        publisher.body, so_far = b'{"message": "down"}', publisher.asked
        assert eventually(lambda: asked(server, minted("EdDSA-3")) and publisher.asked > so_far, within_s=10)
        assert asked(server, minted("EdDSA")).status_code == 200


def test_issuer_that_is_away_from_the_start_is_503_until_it_comes(sqlite: Callable[[], str], folder: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/auth/jwks"
    with running(folder, **settings(url, sqlite())) as server:
        answer = asked(server, minted("EdDSA"))
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        with Publisher(public_jwk("EdDSA")).serving(port):
            assert eventually(lambda: asked(server, minted("EdDSA")).status_code == 200, within_s=10)


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
    "a key of another curve": lambda: public_jwk("Ed448"),
    "a private key": lambda: public_jwk("EdDSA-private", d=encoded(seed("EdDSA-private"))),
    "a key of another algorithm": lambda: public_jwk("ES256-other", alg="ES512"),
}


@pytest.fixture(scope="module")
def littered(sqlite: Callable[[], str], folder: Path) -> Iterator[Server]:
    """A server whose issuer publishes one good key among what is none."""
    unusable = [make() for make in UNUSABLE.values()]
    publisher = Publisher(*GARBAGE, *unusable, public_jwk("EdDSA"), *GARBAGE)
    with publisher.serving() as url, running(folder, **settings(url, sqlite())) as server:
        yield server


def test_good_key_among_garbage_opens_the_tasks(littered: Server):
    assert asked(littered, minted("EdDSA")).status_code == 200


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_published_key_that_is_not_for_signatures_opens_nothing(
    littered: Server, make: Callable[[], dict[str, Any]]
):
    assert asked(littered, minted(make()["kid"])).status_code == 401


def test_shared_secret_beside_an_issuer_and_an_audience_checks_both(sqlite: Callable[[], str], folder: Path):
    issuer = {"BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": ORIGIN, "JWT_AUDIENCE": ORIGIN}
    with running(folder, DATABASE_URL=sqlite(), **issuer) as server:
        assert asked(server, token("ada", iss=ORIGIN, aud=ORIGIN)).status_code == 200
        refused = [token("ada"), token("ada", iss=ORIGIN), token("ada", iss="x", aud=ORIGIN)]
        assert [asked(server, bearer).status_code for bearer in refused] == [401, 401, 401]


def test_token_of_an_account_that_is_gone_creates_nothing(account_server: Server, accounts: httpx.Client):
    credentials = {"email": "mary@example.com", "password": "three green parrots"}
    user_id = accounts.post("/api/auth/signup", json=credentials).json()["id"]
    mary = Person(
        accounts, user_id, accounts.post("/api/auth/login", json=credentials).json()["access_token"]
    )
    mary.has_task()
    with connected(account_server) as connection:
        connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": user_id})
    assert mary.post({"title": "Buy milk"}).status_code == 401
    assert mary.get().json() == []


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    """A connection to the server's database, committed at the end."""
    url = make_url(server.settings["DATABASE_URL"])
    driver = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(url.set(drivername=driver))
    with engine.begin() as connection:
        if driver == "sqlite":
            connection.execute(text("PRAGMA foreign_keys = ON"))
        yield connection
    engine.dispose()
