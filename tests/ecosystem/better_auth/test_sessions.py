"""Better Auth's sessions are its own: nothing that stands for one opens tasks here.

The cache of the session is a JWT, and valid by its signature: HS256 with the very secret that a
shared-secret frontend uses, or signed with the keys that a frontend with the jwt plugin publishes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest

from tests.ecosystem.better_auth.frontend import Frontend, Visitor, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.users import SECRET

CACHED = {"session": {"cookieCache": {"enabled": True, "strategy": "jwt"}}}


class Cache(NamedTuple):
    """How the session's cache is signed: what the jwt plugin is told, and what can be read in it."""

    jwt_options: dict[str, Any]
    algorithm: str
    typ: str | None
    audience: str | None


CACHES = {
    "cache signed with the secret": Cache({}, "HS256", None, None),
    "cache signed with the keys": Cache(
        {"sessionCookieCache": True}, "EdDSA", "better-auth.session-cache+jwt", "better-auth:session-cache"
    ),
}
CREDENTIALS: dict[str, Callable[[Visitor], str]] = {
    "the session's token": Visitor.sign_in,
    "the session's cookie": lambda visitor: visitor.cookie("session_token"),
    "the session's cache": lambda visitor: visitor.cookie("session_data"),
}
TOKENS = {"keys": Visitor.token, "secret": Visitor.shared_secret_token}


@pytest.fixture(scope="module", params=CACHES.values(), ids=CACHES)
def cache(request: pytest.FixtureRequest) -> Cache:
    return request.param


@pytest.fixture(scope="module")
def frontend(cache: Cache, folder: Path) -> Iterator[Frontend]:
    """A Better Auth server that keeps a copy of the session in a cookie."""
    with better_auth(folder, options=CACHED, jwt_options=cache.jwt_options) as frontend:
        yield frontend


@pytest.fixture(scope="module", params=TOKENS)
def mode(request: pytest.FixtureRequest) -> str:
    """What the todo backend verifies tokens with."""
    return request.param


@pytest.fixture(scope="module")
def todo(frontend: Frontend, mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The todo backend that takes tokens of that server, whose session's secret is the shared one."""
    settings = frontend.as_issuer if mode == "keys" else {"BETTER_AUTH_SECRET": SECRET}
    with run_server(tmp_path_factory.mktemp("todo"), **settings) as server, open_client(server.url) as http:
        yield http


@pytest.fixture(scope="module")
def ada(frontend: Frontend) -> Visitor:
    return frontend.visitor()


def test_token_is_what_opens_the_tasks(ada: Visitor, todo: httpx.Client, mode: str):
    assert ada.at(todo, TOKENS[mode](ada)).get().status_code == 200


@pytest.mark.parametrize("credential", CREDENTIALS.values(), ids=CREDENTIALS)
def test_session_is_401(ada: Visitor, todo: httpx.Client, credential: Callable[[Visitor], str]):
    assert ada.at(todo, credential(ada)).get().status_code == 401


def test_cache_is_a_jwt_that_only_its_claims_tell_from_a_token(ada: Visitor, cache: Cache):
    cookie = ada.cookie("session_data")
    header, claims = (
        jwt.get_unverified_header(cookie),
        jwt.decode(cookie, options={"verify_signature": False}),
    )
    assert (header["alg"], header.get("typ"), claims.get("aud")) == (
        cache.algorithm,
        cache.typ,
        cache.audience,
    )
    assert claims.get("sub") == (None if cache.algorithm == "HS256" else ada.id)
