"""An issuer elsewhere, as Better Auth is one: it publishes its keys, and signs tokens with them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import get_default_algorithms


class Publisher:
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
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def algorithm_of(kid: str) -> str:
    return kid.partition("-")[0].replace("Ed448", "EdDSA")


def public_jwk(kid: str, **changes: Any) -> dict[str, Any]:
    """As Better Auth publishes it: {alg, crv, x, kty, kid}, no `use`."""
    algorithm = algorithm_of(kid)
    jwk = get_default_algorithms()[algorithm].to_jwk(private_key(kid).public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return jwk | {"alg": algorithm, "kid": kid} | changes
