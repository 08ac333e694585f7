"""Which bearer tokens open a user's tasks: everything else is one 401."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.people import SECRET
from tests.promises import client_of
from tests.server import running

TASKS = "/api/ada/tasks"
HEADER = {"alg": "HS256", "typ": "JWT"}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that shares SECRET. What it stores does not matter here: SQLite will do."""
    url = f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'todo.db'}"
    with (
        running(folder, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET) as server,
        client_of(server.url) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def refusal(client: httpx.Client) -> dict[str, Any]:
    """What is said of a token that is no token at all."""
    return said(opened(client, "nonsense"))


def opened(client: httpx.Client, token: str | bytes, scheme: bytes = b"Bearer") -> httpx.Response:
    raw = token.encode() if isinstance(token, str) else token
    return client.get(TASKS, headers={b"Authorization": scheme + b" " + raw})


def said(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def segment(content: Any) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of ada's, but for `changes`. A claim of None is left out."""
    now = int(time.time())
    good = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "iat": now, "exp": now + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(signing_input: str, secret: str = SECRET, digest: str = "sha256") -> str:
    mac = hmac.new(secret.encode(), signing_input.encode(), getattr(hashlib, digest)).digest()
    return f"{signing_input}.{segment(mac)}"


def token(header: Any = HEADER, payload: Any = None, **changes: Any) -> str:
    """Signed as it should be, whatever it says; bytes are taken as they are."""
    return signed(f"{segment(header)}.{segment(payload if payload is not None else claims(**changes))}")


def with_header(**members: Any) -> str:
    return token(HEADER | members)


def respelled(good: str) -> str:
    """The same signature bytes in another spelling: the last character's low bits count for nothing."""
    return good[:-1] + ALPHABET[ALPHABET.index(good[-1]) + 1]


def now() -> int:
    return int(time.time())


def text(**changes: Any) -> str:
    return json.dumps(claims(**changes))


REFUSED: dict[str, Callable[[], str | bytes]] = {
    "expired beyond the leeway": lambda: token(exp=now() - 31),
    "signed by another secret": lambda: signed(token().rpartition(".")[0], SECRET[::-1]),
    "alg none without a signature": lambda: f"{segment({'alg': 'none'})}.{segment(claims())}.",
    "alg none with a signature": lambda: with_header(alg="none"),
    "alg HS512": lambda: signed(f"{segment(HEADER | {'alg': 'HS512'})}.{segment(claims())}", digest="sha512"),
    "alg in lower case": lambda: with_header(alg="hs256"),
    "alg an array": lambda: with_header(alg=["HS256"]),
    "alg an object": lambda: with_header(alg={}),
    "typ an array": lambda: with_header(typ=["JWT"]),
    "typ an object": lambda: with_header(typ={}),
    "alg missing": lambda: token({"typ": "JWT"}),
    "exp missing": lambda: token(exp=None),
    "exp as a string": lambda: token(exp=str(now() + 600)),
    "exp as true": lambda: token(payload=text().replace('"exp": ', '"exp": true, "was": ').encode()),
    "exp 1e30": lambda: token(exp=1e30),
    "exp beyond every float": lambda: token(payload=text(exp=7).replace(": 7", ": 1e999").encode()),
    "exp in milliseconds": lambda: token(exp=(now() + 600) * 1000),
    "sub missing": lambda: token(sub=None),
    "sub empty": lambda: token(sub=""),
    "sub with a slash": lambda: token(sub="ada/tasks"),
    "sub with NUL": lambda: token(sub="ada\0"),
    "sub with a line end": lambda: token(sub="ada\n"),
    "sub with 200 characters": lambda: token(sub="a" * 200),
    "sub a number": lambda: token(sub=7),
    "nbf in the future": lambda: token(nbf=now() + 60),
    "nbf as a string": lambda: token(nbf=str(now())),
    "iat in the future": lambda: token(iat=now() + 60),
    "iat as a string": lambda: token(iat=str(now())),
    "iat beyond every float": lambda: token(payload=text(iat=7).replace(": 7", ": 1e999").encode()),
    "a member twice in the payload": lambda: token(payload=b'{"sub":"bob",' + text()[1:].encode()),
    "a member twice in the header": lambda: token(b'{"alg":"none","alg":"HS256"}'),
    "the payload in UTF-16": lambda: token(payload=text().encode("utf-16")),
    "the payload behind a byte order mark": lambda: token(payload=text().encode("utf-8-sig")),
    "NaN in the payload": lambda: token(score=float("nan")),
    "the payload an array": lambda: token(payload=[]),
    "the header a string": lambda: token("HS256"),
    "the signature padded": lambda: token() + "=",
    "the header padded": lambda: signed(f"{segment({'alg': 'HS256', 'kid': 'x'})}==.{segment(claims())}"),
    "the signature in another spelling": lambda: respelled(token()),
    "four segments": lambda: token() + ".AAAA",
    "two segments": lambda: token().rpartition(".")[0],
    "an empty signature": lambda: token().rpartition(".")[0] + ".",
    "a session cache cookie": lambda: with_header(typ="better-auth.session-cache+jwt"),
    "crit": lambda: with_header(crit=["exp"]),
    "b64": lambda: with_header(b64=True),
    "zip": lambda: with_header(zip="DEF"),
    "jwk": lambda: with_header(jwk={"kty": "oct", "k": "AA"}),
    "jku": lambda: with_header(jku="https://example.com/jwks"),
    "kid of 256 characters": lambda: with_header(kid="x" * 256),
    "over 16 KiB": lambda: token(image="x" * 12_300),
    "not ASCII": lambda: token().encode() + b"\xc3\xa9",
    "a space within": lambda: token().replace(".", " .", 1),
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
def test_refused_tokens_are_one_answer(
    client: httpx.Client, refusal: dict[str, Any], made: Callable[[], str | bytes]
):
    answer = opened(client, made())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert said(answer) == refusal


ACCEPTED: dict[str, Callable[[], str]] = {
    "no typ": lambda: token({"alg": "HS256"}),
    "typ JWT": lambda: token({"alg": "HS256", "typ": "JWT"}),
    "typ at+jwt": lambda: token({"alg": "HS256", "typ": "at+jwt"}),
    "a kid": lambda: token({"alg": "HS256", "kid": "2026"}),
    "25 s past exp, within the leeway": lambda: token(exp=now() - 25),
    "iat 25 s ahead, within the leeway": lambda: token(iat=now() + 25),
    "times with fractions": lambda: token(exp=time.time() + 600.5),
    "no iat": lambda: token(iat=None),
    "an audience and an issuer, where none is asked for": lambda: token(aud="x", iss="y"),
    "almost 16 KiB": lambda: token(image="x" * 11_900),
}


@pytest.mark.parametrize("made", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_tokens_open_the_tasks(client: httpx.Client, made: Callable[[], str]):
    assert opened(client, made()).status_code == 200


def test_token_that_a_nextjs_route_mints_with_jose_opens_the_tasks(client: httpx.Client):
    header = b'{"alg":"HS256","typ":"JWT"}'
    payload = '{"sub":"ada","email":"ada@example.com","name":"Ada Lovelacé","iat":%d,"exp":%d}'
    minted = token(header, (payload % (now(), now() + 900)).encode())
    assert opened(client, minted).status_code == 200


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEARER"])
def test_scheme_is_read_in_any_case(client: httpx.Client, scheme: bytes):
    assert opened(client, token(), scheme).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic YWRhOmFkYQ=="}, {"Authorization": "token x"}]
)
def test_no_bearer_token_is_401_without_an_error_code(client: httpx.Client, headers: dict[str, str]):
    answer = client.get(TASKS, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:todo:problem:unauthenticated"


@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
def test_token_in_the_query_opens_nothing(client: httpx.Client, name: str):
    answer = client.get(TASKS, params={name: token()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_token_in_a_cookie_opens_nothing(client: httpx.Client):
    answer = client.get(TASKS, headers={"Cookie": f"better-auth.session_token={token()}"})
    assert answer.status_code == 401


def test_two_authorization_headers_are_refused_even_when_both_are_good(client: httpx.Client):
    bearer = f"Bearer {token()}"
    answer = client.get(TASKS, headers=[("Authorization", bearer), ("Authorization", bearer)])
    assert answer.status_code == 401
