"""Which bearer tokens open a user's tasks: everything else is one 401, whoever signs for the server."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest

from tests.api.token_attacks import BOUND, BY_ALGORITHM, DISGUISES, PUBLISHED
from tests.api.token_cases import CEILING_S, REFUSED, Case
from tests.support.contract_checks import open_client
from tests.support.forged_tokens import of_length, stranger, with_claim
from tests.support.server import run_server
from tests.support.token_issuers import (
    ALGORITHMS,
    ORIGIN,
    Issuer,
    KeySetServer,
    issuer,
    now,
    private_key,
    public_jwk,
)

ALGORITHM_OF = {
    "built-in": "EdDSA",
    **{algorithm: algorithm for algorithm in ALGORITHMS},  # four keys, published at one JWKS
    "secret": "HS256",
    "secret of an origin": "HS256",
}
SERVERS = ["built-in", "EdDSA", "secret", "secret of an origin"]


class Mode(NamedTuple):
    """A client of a server, and the issuer whose tokens that server takes."""

    http: httpx.Client
    our: Issuer


@pytest.fixture(scope="module")
def modes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Mode]]:
    """By the name of the issuer. What the servers store does not matter here: SQLite will do."""
    databases = tmp_path_factory.mktemp("tokens")
    secret, another_secret = private_key("HS256"), private_key("HS256-of-an-origin")
    origin = {"JWT_ISSUER": ORIGIN, "JWT_AUDIENCE": ORIGIN}
    with ExitStack() as stack:

        def served(name: str, **settings: str) -> httpx.Client:
            url = f"sqlite:///{databases / name}"
            server = stack.enter_context(run_server(folder, DATABASE_URL=url, **settings))
            return stack.enter_context(open_client(server.url))

        jwks_url = stack.enter_context(KeySetServer(*map(public_jwk, ALGORITHMS)).serving())
        jwks = served("jwks", JWKS_URL=jwks_url, **origin)
        shared = served("shared", BETTER_AUTH_SECRET=secret.decode())
        of_an_origin = served("of-an-origin", BETTER_AUTH_SECRET=another_secret.decode(), **origin)
        yield {
            "built-in": built_in(served("built-in"), databases / "built-in"),
            "another built-in": built_in(served("another"), databases / "another"),
            **{algorithm: Mode(jwks, issuer(algorithm)) for algorithm in ALGORITHMS},
            "secret": Mode(shared, Issuer("HS256", secret, origin=None)),
            "secret of an origin": Mode(of_an_origin, Issuer("HS256", another_secret)),
        }


def built_in(http: httpx.Client, file: Path) -> Mode:
    """With the key out of the database: the server itself signs nothing but what is right."""
    assert http.get("/api/auth/jwks").status_code == 200  # the first to ask has the key made
    with closing(sqlite3.connect(file)) as database:
        [(private_jwk,)] = database.execute("SELECT private_jwk FROM signing_keys")
    jwk = json.loads(private_jwk)
    return Mode(
        http, Issuer("EdDSA", jwt.PyJWK(jwk, "EdDSA").key, jwk["kid"], str(http.base_url).rstrip("/"))
    )


@pytest.fixture(scope="module", params=ALGORITHM_OF)
def mode(modes: dict[str, Mode], request: pytest.FixtureRequest) -> Mode:
    return modes[request.param]


@pytest.fixture(scope="module")
def refusal(modes: dict[str, Mode]) -> tuple[Any, ...]:
    """The one answer to every token that is refused, at all servers."""
    answer = said(opened(modes["secret"].http, "nonsense"))
    status, headers, _ = answer
    assert (status, headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    return answer


def opened(http: httpx.Client, token: str | bytes, *, path: str = "/api/ada/tasks") -> httpx.Response:
    raw = token.encode() if isinstance(token, str) else token
    return http.get(path, headers={b"Authorization": (b"Bearer " + raw).strip()})


def said(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """All of an answer but when and to which request it was given."""
    headers = {name: text for name, text in answer.headers.items() if name not in {"date", "x-request-id"}}
    body = answer.json()
    if isinstance(body, dict):
        del body["request_id"]
    return answer.status_code, headers, body


def refused(name: str) -> dict[str, Case]:
    """The cases that are one for the issuer of that name."""
    cases = REFUSED | BY_ALGORITHM[ALGORITHM_OF[name]]
    if name != "secret":
        cases |= BOUND
    if ALGORITHM_OF[name] != "HS256":
        cases |= PUBLISHED
    return cases


@pytest.mark.parametrize(
    ("mode", "make"),
    [
        pytest.param(name, make, id=f"{name}: {reason}")
        for name in ALGORITHM_OF
        for reason, make in refused(name).items()
    ],
    indirect=["mode"],
)
def test_refused_tokens_are_one_answer(mode: Mode, refusal: tuple[Any, ...], make: Case):
    assert said(opened(mode.http, make(mode.our))) == refusal


@pytest.mark.parametrize("alg", ["of the signature", "of the named key"])
@pytest.mark.parametrize(("signed", "named"), [*permutations(ALGORITHMS, 2)])
def test_token_that_names_another_published_key_is_refused(
    modes: dict[str, Mode], refusal: tuple[Any, ...], signed: str, named: str, alg: str
):
    header = {"kid": named, "alg": signed if alg == "of the signature" else named}
    assert said(opened(modes[signed].http, issuer(signed).headed(**header))) == refusal


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(
    ("theirs", "ours"), [*permutations(SERVERS, 2), *(("another built-in", name) for name in SERVERS)]
)
def test_token_for_another_server_is_refused(
    modes: dict[str, Mode],
    refusal: tuple[Any, ...],
    theirs: str,
    ours: str,
    disguise: Callable[[Issuer, Issuer], str],
):
    assert said(opened(modes[ours].http, disguise(modes[theirs].our, modes[ours].our))) == refusal


@pytest.mark.parametrize("member", ["jku", "x5u", "kid", "iss"])
def test_url_in_a_token_is_never_fetched(mode: Mode, refusal: tuple[Any, ...], member: str):
    theirs = KeySetServer(public_jwk("EdDSA"))
    with theirs.serving() as url:
        forged = stranger(mode.our).signed(mode.our.header(**{member: url}), mode.our.claims(**{member: url}))
        assert said(opened(mode.http, forged)) == refusal
    assert theirs.asked == 0


ACCEPTED: dict[str, Case] = {
    "no typ": lambda our: our.token(),
    "typ JWT": lambda our: our.headed(typ="JWT"),
    "typ at+jwt": lambda our: our.headed(typ="at+jwt"),
    "members of the header that no one knows": lambda our: our.headed(nonce="x", **{"urn:x": [{"y": 1}]}),
    "the header's members the other way round": lambda our: our.signed(
        dict(reversed(our.header().items())), our.claims()
    ),
    "the header on lines of its own": lambda our: our.signed(
        json.dumps(our.header(), indent=2).encode() + b"\r\n", our.claims()
    ),
    "exp 25 s ago, within the leeway": lambda our: our.token(exp=now() - 25),
    "iat 25 s ahead, within the leeway": lambda our: our.token(iat=now() + 25),
    "nbf 25 s ahead, within the leeway": lambda our: our.token(nbf=now() + 25),
    "nbf past": lambda our: our.token(nbf=now() - 3600),
    "no iat": lambda our: our.token(iat=...),
    "times with fractions": lambda our: our.token(exp=time.time() + 600.5, iat=time.time() - 0.5),
    "exp with an exponent": lambda our: with_claim(our, "exp", f"{(now() + 600) / 1e9}e9"),
    "exp at the ceiling": lambda our: our.token(exp=now() + CEILING_S, iat=now()),
    "exp half a year ahead, no iat": lambda our: our.token(exp=now() + CEILING_S // 2, iat=...),
    "a claim that no one knows": lambda our: our.token(**{"https://example.com/roles": [{"name": "admin"}]}),
    "a claim as deep as JSON may be": lambda our: with_claim(our, "deep", "[" * 31 + "]" * 31),
    "a name twice, but not in one object": lambda our: our.token(x={"sub": "bob", "y": {"sub": "eve"}}),
    "a name of any letters, escaped": lambda our: our.token(
        name="Ada Lovelac\xe9 \U0001f469\u200d\U0001f4bb"
    ),
    "a name of any letters, bare": lambda our: with_claim(our, "name", '"Zoë 李 \U0001f469\u200d\U0001f4bb"'),
    "16 KiB": lambda our: of_length(our, 16 * 1024),
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
def test_good_tokens_open_the_tasks(mode: Mode, make: Case):
    assert opened(mode.http, make(mode.our)).status_code == 200


@pytest.mark.parametrize("sub", ["a", "A" * 128, "0.9_~@|:-", "ada@example.com", "google-oauth2|1234"])
def test_user_ids_of_every_form_open_their_tasks(mode: Mode, sub: str):
    assert opened(mode.http, mode.our.token(sub=sub), path=f"/api/{sub}/tasks").status_code == 200


@pytest.mark.parametrize("others", [[], ["https://other.example.com"], ["x"] * 100])
def test_audience_may_be_one_of_several(mode: Mode, others: list[str]):
    assert opened(mode.http, mode.our.token(aud=[*others, mode.our.origin or "y"])).status_code == 200


@pytest.mark.parametrize("kid", ["", "2026", "x" * 255])
def test_secret_has_no_name_and_so_takes_any(modes: dict[str, Mode], kid: str):
    for name in ("secret", "secret of an origin"):
        assert opened(modes[name].http, modes[name].our.headed(kid=kid)).status_code == 200


def test_secret_of_no_origin_takes_any_issuer_and_audience(modes: dict[str, Mode]):
    http, our = modes["secret"]
    assert opened(http, our.token(iss="https://x.example.com", aud="y")).status_code == 200


def test_token_that_a_nextjs_route_mints_with_jose_opens_the_tasks(modes: dict[str, Mode]):
    http, our = modes["secret"]
    payload = '{"sub":"ada","email":"ada@example.com","name":"Ada Lovelacé","iat":%d,"exp":%d}'
    minted = our.signed(b'{"alg":"HS256","typ":"JWT"}', (payload % (now(), now() + 900)).encode())
    assert opened(http, minted).status_code == 200
