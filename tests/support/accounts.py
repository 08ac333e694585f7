"""Accounts of the built-in issuer, made in the database: a sign-up would cost 0.2 s of bcrypt."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import httpx
from sqlalchemy import Connection, insert, select, update

from persistence.tables import sessions, users
from tests.support.server import Server
from tests.support.users import User

PASSWORD, NEW_PASSWORD = "three green parrots", "four blue parrots"
_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()  # 4: a login takes 1 ms


@dataclass(frozen=True)
class Account:
    """An account on a server, and the requests of its user."""

    http: httpx.Client
    server: Server
    id: str
    email: str

    def log_in(self, password: str = PASSWORD) -> dict[str, Any]:
        """Return a new session."""
        response = self.post("login", email=self.email, password=password)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def refresh(self, token: str) -> httpx.Response:
        return self.post("refresh", refresh_token=token)

    def next_of(self, token: str) -> str:
        """Refresh and return the next refresh token."""
        response = self.refresh(token)
        assert response.status_code == 200, response.text
        return str(response.json()["refresh_token"])

    def post(self, operation: str, session: dict[str, Any] | None = None, **body: Any) -> httpx.Response:
        """Send a request to an operation of accounts, with the access token of `session` if one is given."""
        headers = {"Authorization": f"Bearer {session['access_token']}"} if session else {}
        return self.http.post(f"/api/auth/{operation}", json=body, headers=headers)

    def as_user(self, session: dict[str, Any]) -> User:
        return User(self.http, self.id, session["access_token"])

    def let_pass(self, *, idle: timedelta = timedelta(), age: timedelta = timedelta()) -> None:
        """Move the rotation and the creation of every session of the account into the past."""
        with self.server.database() as connection:
            for row in self.sessions(connection):
                times = {"rotated_at": row.rotated_at - idle - age, "created_at": row.created_at - age}
                connection.execute(
                    update(sessions)
                    .where(sessions.c.user_id == self.id, sessions.c.id == row.id)
                    .values(times)
                )

    def sessions(self, connection: Connection) -> list[Any]:
        return [*connection.execute(select(sessions).where(sessions.c.user_id == self.id))]

    def count_sessions(self) -> int:
        with self.server.database() as connection:
            return len(self.sessions(connection))


def create_account(http: httpx.Client, server: Server) -> Account:
    """Insert a new account with PASSWORD."""
    name = secrets.token_hex(8)
    account = {"id": f"id-{name}", "email": f"{name}@example.com", "password_hash": _HASH}
    with server.database() as connection:
        connection.execute(insert(users), account | {"created_at": datetime.now(UTC)})
    return Account(http, server, account["id"], account["email"])
