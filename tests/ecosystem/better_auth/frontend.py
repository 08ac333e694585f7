"""A real Better Auth server, and the users who sign up there."""

import contextlib
import itertools
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tests.support.programs import needed_node
from tests.support.server import eventually, find_free_port
from tests.support.users import SECRET, User

HERE = Path(__file__).parent
PASSWORD = "three green parrots"
_numbers = itertools.count(1)


class Visitor:
    """A user who has signed up with a Better Auth server. `http` keeps their cookies."""

    def __init__(self, frontend: "Frontend", name: str, **fields: str) -> None:
        # Better Auth needs an Origin beside cookies, as a browser sends it.
        self.http = httpx.Client(
            base_url=frontend.url, headers={"Origin": frontend.origin}, timeout=20, verify=False
        )
        self.credentials = {"email": f"{name}-{next(_numbers)}@example.com", "password": PASSWORD}
        response = self._post("sign-up/email", name=name, **self.credentials, **fields)
        self.id: str = response["user"]["id"]

    def sign_in(self) -> str:
        """Sign in again and return the token of the session, which only Better Auth can read."""
        return str(self._post("sign-in/email", **self.credentials)["token"])

    def token(self) -> str:
        """Return a new token of the jwt plugin."""
        return self._get_token("/api/auth/token")

    def shared_secret_token(self) -> str:
        """Return a new token of the frontend's own route, which signs with the shared secret."""
        return self._get_token("/api/token")

    def cookie(self, name: str) -> str:
        return unquote(self.http.cookies[f"better-auth.{name}"])

    def delete_user(self) -> None:
        self._post("delete-user", password=PASSWORD)

    def on(self, todo: httpx.Client, token: str | None = None) -> User:
        """Return the same user as a user of the todo backend."""
        return User(todo, self.id, token or self.token())

    def _post(self, path: str, **body: str) -> dict[str, Any]:
        return dict(self.http.post(f"/api/auth/{path}", json=body).raise_for_status().json())

    def _get_token(self, path: str) -> str:
        return str(self.http.get(path).raise_for_status().json()["token"])


@dataclass(frozen=True)
class Frontend:
    """A running Better Auth server: its URL, and the origin that it puts into tokens."""

    url: str
    origin: str

    def visitor(self, name: str = "ada", **fields: str) -> Visitor:
        """Sign up a new user."""
        return Visitor(self, name, **fields)

    @property
    def as_issuer(self) -> dict[str, str]:
        """The settings of a todo backend that accepts the tokens of this server."""
        return as_issuer(self.url, self.origin)


def as_issuer(url: str, origin: str | None = None) -> dict[str, str]:
    """Return the same settings for a server that need not be running yet."""
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
    """Run a Better Auth server. Options are those of its own documentation."""
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
    command = [needed_node(), "server.js"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=log, stderr=log)
    try:
        if (
            not eventually(lambda: _is_up(url) or process.poll() is not None, within_s=30)
            or process.poll() is not None
        ):
            raise RuntimeError(f"Better Auth does not respond:\n{log_file.read_text(encoding='utf-8')}")
        yield Frontend(url, environment["BETTER_AUTH_URL"])
    finally:
        process.terminate()
        process.wait(timeout=10)


def _is_up(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/api/auth/ok", timeout=5, verify=False).status_code == 200
    return False
