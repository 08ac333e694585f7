"""Issuers of tokens: their keys, the tokens that they sign, and the servers that publish their keys."""

import base64
import hashlib
import json
import ssl
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
    """Signs tokens of the user ada with one key. `origin` is both iss and aud; None leaves both out.

    In the changes that its methods take, `...` removes a claim or a header member.
    """

    algorithm: str
    key: Any
    kid: str | None = None
    origin: str | None = ORIGIN

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header as Better Auth's jwt plugin makes it: without typ."""
        return without_absent({"alg": self.algorithm, "kid": self.kid or ...} | changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims as Better Auth's jwt plugin makes them: the user's whole row is among them."""
        issued_at, origin = now(), self.origin or ...
        return without_absent({
            "iat": issued_at, "name": "Ada Lovelace", "email": "ada@example.com", "emailVerified": False,
            "image": None, "createdAt": "2026-11-21T09:30:00.000Z", "updatedAt": "2026-11-21T09:30:00.000Z",
            "id": "ada", "sub": "ada", "exp": issued_at + 900, "iss": origin, "aud": origin,
        } | changes)  # fmt: skip

    def token(self, **changes: Any) -> str:
        """Return a valid token, except for these changed claims."""
        return self.sign(self.header(), self.claims(**changes))

    def with_header(self, **changes: Any) -> str:
        """Return a valid token, except for these changed header members."""
        return self.sign(self.header(**changes), self.claims())

    def sign(self, header: Any, payload: Any) -> str:
        """Return a token with this header and payload. Bytes are used as they are."""
        return self.append_signature(f"{segment(header)}.{segment(payload)}")

    def append_signature(self, signing_input: str) -> str:
        return f"{signing_input}.{encode(self.signature(signing_input))}"

    def signature(self, signing_input: str, algorithm: str | None = None) -> bytes:
        """Sign with the issuer's algorithm, or with another one that fits the key."""
        return get_default_algorithms()[algorithm or self.algorithm].sign(signing_input.encode(), self.key)


def new_issuer(kid: str) -> Issuer:
    """Return the issuer with the key `kid`, whose name begins with its algorithm."""
    return Issuer(algorithm_of(kid), private_key(kid), kid)


def minted(kid: str, **changes: Any) -> str:
    """Return a valid token of that issuer, except for these changed claims."""
    return new_issuer(kid).token(**changes)


def now() -> int:
    return int(time.time())


def without_absent(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}


def segment(content: Any) -> str:
    """Return `content` as a segment of a token. Bytes are used as they are."""
    return encode(content if isinstance(content, bytes) else as_json(content))


def as_json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def encode(raw: bytes) -> str:
    """Encode in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def private_key(kid: str) -> Any:
    """Return the key named `kid`, of the kind that the name begins with."""
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
    """Return the public key as Better Auth publishes it: {alg, crv, x, kty, kid}, no `use`."""
    return jwk_of(private_key(kid).public_key(), algorithm_of(kid)) | {"kid": kid} | changes


def jwk_of(key: Any, algorithm: str) -> dict[str, Any]:
    """Return a key, public or secret, as a JSON Web Key."""
    jwk = get_default_algorithms()[algorithm].to_jwk(key, as_dict=True)
    jwk.pop("key_ops", None)
    return jwk | {"alg": algorithm}


class KeySetServer:
    """An outside issuer's server: publishes the keys that a test gives it, on the loopback interface."""

    def __init__(self, *keys: Any) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.publish(*keys)
        self.request_count = 0
        self._may_finish = threading.Event()
        self._may_finish.set()

    def publish(self, *keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Accept requests, and send one space every 0.1 s in place of the body."""
        self._may_finish.clear()
        try:
            yield
        finally:
            self._may_finish.set()

    @contextmanager
    def serving(self, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Serve until the end of the block, over TLS if `tls` is given. Yield the URL of the key set."""
        with _Server(("127.0.0.1", port), _Handler) as server:
            server.publisher = self
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            scheme = "https" if tls else "http"
            yield f"{scheme}://127.0.0.1:{server.server_port}/api/auth/jwks"
            server.shutdown()

    def wait_until_it_may_finish(self, handler: BaseHTTPRequestHandler) -> None:
        deadline = time.monotonic() + 10
        while not self._may_finish.wait(timeout=0.1) and time.monotonic() < deadline:
            handler.wfile.write(b" ")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    publisher: KeySetServer

    def handle_error(self, *_: Any) -> None:
        """Print nothing: in some tests the client closes the connection or refuses the certificate."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        publisher = self.server.publisher
        publisher.request_count += 1
        self.send_response(publisher.status)
        for name, value in {"Content-Type": "application/json", **publisher.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        publisher.wait_until_it_may_finish(self)
        self.wfile.write(publisher.body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
