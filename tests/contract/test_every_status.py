"""Every status that the contract documents is returned, as documented."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from tests.support.accounts import NEW_PASSWORD, PASSWORD, Account, create_account
from tests.support.contract_checks import Operation, check_response, open_client, operations
from tests.support.server import Server, run_server, start_server, wait_until_live
from tests.support.users import MISSING, SECRET, User, new_user

TOO_LARGE = {"content": b" " * 65_537, "headers": {"Content-Type": "application/json"}}
PLAIN = {"content": b"x", "headers": {"Content-Type": "text/plain"}}


@dataclass(frozen=True)
class World:
    """Servers with a shared secret and with accounts, both also without a database, and a user."""

    server: Server
    ada: User
    limited: httpx.Client
    away: httpx.Client
    accounts: httpx.Client
    accounts_away: httpx.Client
    credentials: dict[str, str]
    signed_up: httpx.Response
    grace: Account
    session: dict[str, Any]

    def send(
        self,
        operation: Operation,
        *,
        at: httpx.Client | None = None,
        user_id: str | None = None,
        task_id: int | None = None,
        token: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send a request that succeeds, except for the given parts."""
        is_on_accounts = operation.id.startswith("auth.")
        at = at or (self.accounts if is_on_accounts else self.ada.http)
        path = operation.path.format(
            user_id=user_id or self.ada.id, task_id=task_id or self.ada.create_task()["id"]
        )
        if "params" not in options:
            path += operation.query
        of_grace = {"Authorization": f"Bearer {self.session['access_token']}"}
        own = of_grace if at is self.accounts else self.ada.headers
        headers = (own if token is None else token) | options.pop("headers", {})
        if operation.body is not None and "content" not in options:
            options = {"json": self.body_of(operation)} | options
        return at.request(operation.method, path, headers=headers, **options)

    def body_of(self, operation: Operation) -> Any:
        """Return a body with which the operation succeeds."""
        bodies: dict[str, Any] = {
            "auth.signup": self.credentials,
            "auth.login": self.credentials,
            "auth.refresh": self.session,
            "auth.logout": {"refresh_token": "of.no.session"},
            "auth.change_password": {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
            "auth.delete_account": {"password": PASSWORD},
        }
        return bodies.get(operation.id, operation.body)


def send_of_another_account(world: World, operation: Operation) -> httpx.Response:
    """Send a request that ends the account or its sessions, for a new account."""
    session = create_account(world.accounts, world.grace.server).log_in()
    return world.send(operation, token={"Authorization": f"Bearer {session['access_token']}"})


def send_without_end(world: World, operation: Operation) -> httpx.Response:
    def body() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1.5)  # these servers wait a second

    at = world.away if operation.security else world.accounts_away
    return world.send(operation, at=at, content=body(), headers={"Content-Type": "application/json"})


Scenario = Callable[[World, Operation], httpx.Response]


def send_to_nothing(world: World, operation: Operation) -> httpx.Response:
    if operation.id.startswith("auth."):
        return world.send(operation, at=world.ada.http)  # where an outside issuer signs the tokens
    if "{task_id}" in operation.path:
        return world.send(operation, task_id=MISSING)
    return world.send(operation, user_id="a%2Fb")


def send_without_database(world: World, operation: Operation) -> httpx.Response:
    if not operation.id.startswith("auth."):
        return world.send(operation, at=world.away)
    return world.send(operation, at=world.accounts_away, token=sign_with_an_unknown_key(world.accounts_away))


def sign_with_an_unknown_key(accounts: httpx.Client) -> dict[str, str]:
    """Return a token of the server's issuer, whose key the server looks up in its database."""
    origin = str(accounts.base_url).rstrip("/")
    claims = {"sub": "grace", "iss": origin, "aud": origin, "exp": int(time.time()) + 600}
    key = Ed25519PrivateKey.generate()
    return {"Authorization": f"Bearer {jwt.encode(claims, key, 'EdDSA', headers={'kid': 'unknown'})}"}


def send_twice(world: World, operation: Operation) -> httpx.Response:
    world.send(operation, at=world.limited)
    return world.send(operation, at=world.limited)


def send_another_with_the_same_key(world: World, operation: Operation) -> httpx.Response:
    world.send(operation, headers={"Idempotency-Key": "other"})
    return world.send(operation, headers={"Idempotency-Key": "other"}, json={"title": "Buy bread"})


def send_while_the_first_is_in_flight(world: World, operation: Operation) -> httpx.Response:
    claim = text(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, created_at)"
        " SELECT user_id, 'claimed', 'x', created_at FROM tasks WHERE id = :task_id"
    )
    with world.server.database() as connection:
        connection.execute(claim, {"task_id": world.ada.create_task()["id"]})
    return world.send(operation, headers={"Idempotency-Key": "claimed"})


SCENARIOS: dict[str, Scenario] = {
    "200": World.send,
    "201": World.send,
    "204": World.send,
    "304": lambda world, operation: world.send(operation, headers={"If-None-Match": "*"}),
    "400": lambda world, operation: world.send(operation, params={"undeclared": "1"}),
    "401": lambda world, operation: world.send(operation, token={}),
    "403": lambda world, operation: world.send(operation, user_id="someone-else"),
    "404": send_to_nothing,
    "408": send_without_end,
    "412": lambda world, operation: world.send(operation, headers={"If-Match": '"999"'}),
    "413": lambda world, operation: world.send(operation, **TOO_LARGE),
    "414": lambda world, operation: world.send(operation, params={"undeclared": "x" * 4096}),
    "415": lambda world, operation: world.send(operation, **PLAIN),
    "429": send_twice,
    "431": lambda world, operation: world.send(operation, headers={f"X-{n}": "x" for n in range(101)}),
    "503": send_without_database,
}
SPECIAL: dict[tuple[str, str], Scenario] = {
    ("auth.signup", "201"): lambda world, _: world.signed_up,
    ("auth.signup", "409"): World.send,
    ("auth.signup", "422"): lambda world, operation: world.send(
        operation, json=world.credentials | {"password": "password"}
    ),
    ("auth.login", "401"): lambda world, operation: world.send(
        operation, json=world.credentials | {"password": "three green pigeons"}
    ),
    ("auth.refresh", "401"): lambda world, operation: world.send(
        operation, json={"refresh_token": "of.no.session"}
    ),
    ("auth.change_password", "200"): send_of_another_account,
    ("auth.change_password", "422"): lambda world, operation: world.send(
        operation, json={"current_password": "wrong", "new_password": NEW_PASSWORD}
    ),
    ("auth.delete_account", "204"): send_of_another_account,
    ("auth.delete_account", "422"): lambda world, operation: world.send(
        operation, json={"password": "wrong"}
    ),
    ("tasks.create", "409"): send_while_the_first_is_in_flight,
    ("tasks.create", "422"): send_another_with_the_same_key,
}
DOCUMENTED = {
    (operation.id, status): operation for operation in operations() for status in operation.responses
}


@pytest.fixture(scope="session")
def away(database: str, folder: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of two servers without a database: with a shared secret and with accounts."""
    url = {
        "sqlite": f"sqlite:///{folder / 'no-such-folder' / 'todo.db'}",
        "postgresql": "postgresql://127.0.0.1:1/none",
    }[database]
    # Both at once: a server without its database waits 5 s for it before it answers.
    servers = [
        start_server(folder, DATABASE_URL=url, BODY_TIMEOUT="1", **more)
        for more in ({"BETTER_AUTH_SECRET": SECRET}, {})
    ]
    try:
        with_secret, with_accounts = (open_client(wait_until_live(server).url) for server in servers)
        with with_secret, with_accounts:
            yield with_secret, with_accounts
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def limited(new_database: Callable[[], str], folder: Path) -> Iterator[httpx.Client]:
    """A client of a server that accepts one request from each address and user."""
    once = dict.fromkeys(("RATE_LIMIT_LOGIN", "RATE_LIMIT_SIGNUP", "RATE_LIMIT_API"), "1/day")
    once["RATE_LIMIT"] = "on"
    with (
        run_server(folder, DATABASE_URL=new_database(), BETTER_AUTH_SECRET=SECRET, **once) as server,
        open_client(server.url) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def world(
    secret_server: Server,
    http: httpx.Client,
    limited: httpx.Client,
    accounts: httpx.Client,
    away: tuple[httpx.Client, httpx.Client],
    account_server: Server,
) -> World:
    credentials = {"email": f"{secrets.token_hex(8)}@example.com", "password": "three green parrots"}
    signed_up = accounts.post("/api/auth/signup", json=credentials)
    ada = new_user(http)
    grace = create_account(accounts, account_server)
    return World(
        secret_server,
        ada,
        limited,
        away[0],
        accounts,
        away[1],
        credentials,
        signed_up,
        grace,
        grace.log_in(),
    )


@pytest.mark.parametrize(("operation_id", "status"), DOCUMENTED)
def test_documented_status_is_returned_as_documented(world: World, operation_id: str, status: str):
    operation = DOCUMENTED[operation_id, status]
    scenario = SPECIAL.get((operation_id, status)) or SCENARIOS.get(status)
    assert scenario, f"{operation_id} documents {status}, and no scenario returns it"
    response = scenario(world, operation)
    assert response.status_code == int(status), response.text
    check_response(response)


def test_every_scenario_is_used():
    assert SPECIAL.keys() <= DOCUMENTED.keys()
    assert SCENARIOS.keys() <= {status for _, status in DOCUMENTED}
