"""Runs a real Better Auth server, and the people who sign in there."""

import contextlib
import itertools
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tests.support.server import find_free_port
from tests.support.users import SECRET, User

HERE = Path(__file__).parent
PASSWORD = "three green parrots"
_numbers = itertools.count(1)


class Visitor:
    """Someone signed up with a Better Auth server; `http` keeps their cookies."""

    def __init__(self, frontend: "Frontend", name: str, **fields: str) -> None:
        # Better Auth asks for an Origin beside cookies, as a browser sends it.
        self.http = httpx.Client(base_url=frontend.url, headers={"Origin": frontend.origin}, timeout=20)
        self.credentials = {"email": f"{name}-{next(_numbers)}@example.com", "password": PASSWORD}
        answer = self._post("sign-up/email", name=name, **self.credentials, **fields)
        self.id: str = answer["user"]["id"]

    def sign_in(self) -> str:
        """The session's token: opaque, and Better Auth's own business."""
        return str(self._post("sign-in/email", **self.credentials)["token"])

    def token(self) -> str:
        """A fresh token of the jwt plugin."""
        return self._get_token("/api/auth/token")

    def shared_secret_token(self) -> str:
        """A fresh token as the frontend's own route mints it with jose."""
        return self._get_token("/api/token")

    def cookie(self, name: str) -> str:
        """What the cookie holds, without the encoding of cookies."""
        return unquote(self.http.cookies[f"better-auth.{name}"])

    def delete_user(self) -> None:
        self._post("delete-user", password=PASSWORD)

    def at(self, todo: httpx.Client, token: str | None = None) -> User:
        """Them, calling the todo backend."""
        return User(todo, self.id, token or self.token())

    def _post(self, path: str, **body: str) -> dict[str, Any]:
        return dict(self.http.post(f"/api/auth/{path}", json=body).raise_for_status().json())

    def _get_token(self, path: str) -> str:
        return str(self.http.get(path).raise_for_status().json()["token"])


@dataclass(frozen=True)
class Frontend:
    """A running Better Auth server: where it answers, and the origin it says it has."""

    url: str
    origin: str

    def visitor(self, name: str = "ada", **fields: str) -> Visitor:
        """Someone who has just signed up there."""
        return Visitor(self, name, **fields)

    @property
    def as_issuer(self) -> dict[str, str]:
        """The todo backend's settings for taking this server's tokens."""
        return as_issuer(self.url, self.origin)


def as_issuer(url: str, origin: str | None = None) -> dict[str, str]:
    """The same for a server that may not be running yet."""
    return {"JWKS_URL": f"{url}/api/auth/jwks"} | dict.fromkeys(("JWT_ISSUER", "JWT_AUDIENCE"), origin or url)


@contextlib.contextmanager
def better_auth(
    folder: Path,
    *,
    port: int | None = None,
    options: dict[str, Any] | None = None,
    jwt_options: dict[str, Any] | None = None,
    **environment: str,
) -> Iterator[Frontend]:
    """A Better Auth server that answers; its options as its own documentation has them."""
    url = f"http://127.0.0.1:{port or find_free_port()}"
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": url.rpartition(":")[2],
        "BETTER_AUTH_URL": url,
        "BETTER_AUTH_SECRET": SECRET,
        "OPTIONS": json.dumps(options or {}),
        "JWT_OPTIONS": json.dumps(jwt_options or {}),
    } | environment
    log_file = folder / f"better-auth-{secrets.token_hex(4)}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(["node", "server.js"], cwd=HERE, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(url, process, log_file)
        yield Frontend(url, environment["BETTER_AUTH_URL"])
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/auth/ok", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"Better Auth does not answer:\n{log_file.read_text(encoding='utf-8')}")
