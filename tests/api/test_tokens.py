"""Bearer tokens over HTTP, for each kind of issuer. tests/unit/test_tokens.py has every attack."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest
from sqlalchemy import text

from tests.support.contract_checks import open_client
from tests.support.databases import on_sqlite
from tests.support.forged_tokens import impostor
from tests.support.server import Server, run_server
from tests.support.token_issuers import (
    ALGORITHMS,
    ORIGIN,
    Issuer,
    KeySetServer,
    new_issuer,
    private_key,
    public_jwk,
)
from tests.support.users import SECRET
from tests.unit.token_cases import REJECTED, Case

pytestmark = on_sqlite

ORIGIN_SETTINGS = {"JWT_ISSUER": ORIGIN, "JWT_AUDIENCE": ORIGIN}


class Variant(NamedTuple):
    """A client of a server, and the issuer whose tokens the server accepts."""

    http: httpx.Client
    issuer: Issuer


@pytest.fixture(scope="module")
def variants(
    account_server: Server, secret_server: Server, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Variant]]:
    with ExitStack() as stack:

        def start(**settings: str) -> Server:
            url = f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'todo.db'}"
            return stack.enter_context(run_server(folder, DATABASE_URL=url, **settings))

        def client(server: Server) -> httpx.Client:
            return stack.enter_context(open_client(server.url))

        def built_in(server: Server) -> Variant:
            http = client(server)
            return Variant(http, built_in_issuer(http, server))

        jwks_url = stack.enter_context(KeySetServer(*map(public_jwk, ALGORITHMS)).serving())
        key_set = client(start(JWKS_URL=jwks_url, **ORIGIN_SETTINGS))
        secret = private_key("HS256")
        with_issuer = client(start(BETTER_AUTH_SECRET=secret.decode(), **ORIGIN_SETTINGS))
        yield {
            "built-in": built_in(account_server),
            "another built-in": built_in(start()),
            **{algorithm: Variant(key_set, new_issuer(algorithm)) for algorithm in ALGORITHMS},
            "secret": Variant(client(secret_server), Issuer("HS256", SECRET.encode(), origin=None)),
            "secret with issuer": Variant(with_issuer, Issuer("HS256", secret)),
        }


def built_in_issuer(http: httpx.Client, server: Server) -> Issuer:
    """Return the built-in issuer with its key from the database, so that a test can sign anything."""
    assert http.get("/api/auth/jwks").status_code == 200  # creates the key
    with server.database() as connection:
        jwk = json.loads(connection.scalars(text("SELECT private_jwk FROM signing_keys")).one())
    return Issuer("EdDSA", jwt.PyJWK(jwk, "EdDSA").key, jwk["kid"], server.url)


def list_tasks(http: httpx.Client, token: str | bytes) -> httpx.Response:
    raw = token.encode() if isinstance(token, str) else token
    return http.get("/api/ada/tasks", headers={b"Authorization": (b"Bearer " + raw).strip()})


def without_ids(response: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the whole response except the date and the id of the request."""
    headers = [field for field in response.headers.raw if field[0].lower() not in {b"date", b"x-request-id"}]
    body = response.content.replace(response.headers["x-request-id"].encode(), b"")
    return response.status_code, headers, body


def test_valid_token_of_every_algorithm_opens_the_users_tasks(variants: dict[str, Variant]):
    statuses = {
        name: list_tasks(http, issuer.token()).status_code for name, (http, issuer) in variants.items()
    }
    assert statuses == dict.fromkeys(variants, 200)


NAMES = [
    "nothing", "an opaque session token", "a letter behind that is not ASCII", "a byte more than 16 KiB",
    "alg none without a signature", "crit", "exp 31 s ago, beyond the leeway", "sub 'ada/tasks'",
    "the payload with a member twice", "the signature, a bit flipped at its end",
    "the signature, by another key",
]  # fmt: skip
ATTACKS: dict[str, Case] = {name: REJECTED[name] for name in NAMES} | {
    "an unknown kid": lambda issuer: impostor(issuer).with_header(kid="unknown"),
    "a token of another issuer": lambda issuer: new_issuer("EdDSA-2").token(),
}


def test_every_rejected_token_has_the_same_response_at_every_server(variants: dict[str, Variant]):
    first = list_tasks(variants["secret"].http, "nonsense")
    assert (first.status_code, first.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    different = [
        (name, reason)
        for name, (http, issuer) in variants.items()
        for reason, make in ATTACKS.items()
        if without_ids(list_tasks(http, make(issuer))) != without_ids(first)
    ]
    assert different == []


def test_url_in_a_token_is_never_fetched(variants: dict[str, Variant]):
    bait = KeySetServer(public_jwk("EdDSA"))
    accepted = []
    with bait.serving() as url:
        for name, (http, issuer) in variants.items():
            for member in ("jku", "x5u", "kid", "iss"):
                header, claims = issuer.header(**{member: url}), issuer.claims(**{member: url})
                if list_tasks(http, impostor(issuer).sign(header, claims)).status_code != 401:
                    accepted.append((name, member))
    assert (accepted, bait.request_count) == ([], 0)


def test_two_built_in_servers_reject_each_others_tokens(variants: dict[str, Variant]):
    for name, other in permutations(("built-in", "another built-in")):
        http, ours = variants[name]
        theirs = variants[other].issuer
        imitations: list[Any] = [theirs, replace(theirs, origin=ours.origin)]
        imitations.append(replace(theirs, origin=ours.origin, kid=ours.kid))
        assert [list_tasks(http, issuer.token()).status_code for issuer in imitations] == [401] * 3
