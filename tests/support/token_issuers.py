"""Those who sign tokens: what theirs hold, what they are signed with, where the keys are published."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ORIGIN = "http://localhost:3000"  # Better Auth's iss and aud: the frontend's origin
ALGORITHMS = ("EdDSA", "ES256", "RS256", "PS256")


@dataclass(frozen=True)
class Issuer:
    """Signs tokens of ada's with one key. `origin` is their iss and their aud; None: they have neither.

    Wherever changes are given, a claim or a member of the header that is `...` is left out.
    """

    algorithm: str
    key: Any
    kid: str | None = None
    origin: str | None = ORIGIN

    def header(self, **changes: Any) -> dict[str, Any]:
        """As Better Auth's jwt plugin makes it: no typ."""
        return present({"alg": self.algorithm, "kid": self.kid or ...} | changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """As Better Auth's jwt plugin makes them: the whole row of the user beside the claims."""
        issued_at, origin = now(), self.origin or ...
        return present({
            "iat": issued_at, "name": "Ada Lovelace", "email": "ada@example.com", "emailVerified": False,
            "image": None, "createdAt": "2026-11-21T09:30:00.000Z", "updatedAt": "2026-11-21T09:30:00.000Z",
            "id": "ada", "sub": "ada", "exp": issued_at + 900, "iss": origin, "aud": origin,
        } | changes)  # fmt: skip

    def token(self, **changes: Any) -> str:
        """A good one, but for these claims."""
        return self.signed(self.header(), self.claims(**changes))

    def headed(self, **changes: Any) -> str:
        """A good one, but for these members of the header."""
        return self.signed(self.header(**changes), self.claims())

    def signed(self, header: Any, payload: Any) -> str:
        """Signed as it should be, whatever it says; bytes are taken as they are."""
        return self.sealed(f"{segment(header)}.{segment(payload)}")

    def sealed(self, signing_input: str) -> str:
        """With its signature behind it."""
        return f"{signing_input}.{encoded(self.signature(signing_input))}"

    def signature(self, signing_input: str, algorithm: str | None = None) -> bytes:
        """Made with the issuer's algorithm, or with another that its key can do."""
        return get_default_algorithms()[algorithm or self.algorithm].sign(signing_input.encode(), self.key)


def issuer(kid: str) -> Issuer:
    """One whose key has a name that begins with its algorithm."""
    return Issuer(algorithm_of(kid), private_key(kid), kid)


def minted(kid: str, **changes: Any) -> str:
    """A good token of that issuer's, but for these claims."""
    return issuer(kid).token(**changes)


def now() -> int:
    return int(time.time())


def present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}


def segment(content: Any) -> str:
    """A part of a token. Bytes are taken as they are."""
    return encoded(content if isinstance(content, bytes) else as_json(content))


def as_json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def private_key(kid: str) -> Any:
    """The key named `kid`, of the kind that its name begins with."""
    match kid.partition("-")[0]:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "HS256":
            return hashlib.sha256(kid.encode()).hexdigest().encode()
        case _:
            size = 1024 if kid.endswith("-short") else 2048
            return rsa.generate_private_key(public_exponent=65537, key_size=size)


def algorithm_of(kid: str) -> str:
    return kid.partition("-")[0].replace("Ed448", "EdDSA")


def public_jwk(kid: str, **changes: Any) -> dict[str, Any]:
    """As Better Auth publishes it: {alg, crv, x, kty, kid}, no `use`."""
    return jwk_of(private_key(kid).public_key(), algorithm_of(kid)) | {"kid": kid} | changes


def jwk_of(key: Any, algorithm: str) -> dict[str, Any]:
    """A key, public or secret, as a JSON Web Key."""
    jwk = get_default_algorithms()[algorithm].to_jwk(key, as_dict=True)
    jwk.pop("key_ops", None)
    return jwk | {"alg": algorithm}


class KeySetServer:
    """Stands for the issuer: serves the keys that a test gives it, on loopback."""

    def __init__(self, *keys: Any) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.publish(*keys)
        self.asked = 0
        self._may_answer = threading.Event()
        self._may_answer.set()

    def publish(self, *keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes requests, and sends a space ten times a second instead of an answer."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self.answer()

    def answer(self) -> None:
        """To whoever has been waiting."""
        self._may_answer.set()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """The URL of the key set."""
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                self.send_response(publisher.status)
                self.send_header("Content-Type", "application/json")
                for name, value in publisher.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.dawdle(until=time.monotonic() + 10)
                self.wfile.write(publisher.body)

            def dawdle(self, until: float) -> None:
                while not publisher._may_answer.wait(timeout=0.1) and time.monotonic() < until:
                    self.wfile.write(b" ")

            def log_message(self, *_: Any) -> None:
                """Not to the console."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """The one who asked has gone: that is what some tests are about."""

        with Server(("127.0.0.1", port), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/api/auth/jwks"
            server.shutdown()
