"""Every status that the contract documents is really given, and given as documented."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import pytest
import yaml

from contract.schemas import to_json_schema
from tests.people import SECRET, Person, new_person
from tests.server import ROOT, start, wait_until_live

CONTRACT = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
MISSING = 2**63 - 1  # the largest id there can be
TOO_LARGE = {"content": b" " * 65_537, "headers": {"Content-Type": "application/json"}}
PLAIN = {"content": b"x", "headers": {"Content-Type": "text/plain"}}


class Operation(NamedTuple):
    """An operation of the contract. `body` is the first it shows, None where it takes none."""

    id: str
    method: str
    path: str
    body: Any
    responses: dict[str, Any]


def operations() -> Iterator[Operation]:
    for path, item in CONTRACT["paths"].items():
        for method, found in item.items():
            if method not in METHODS:
                continue
            yield Operation(
                found["operationId"], method.upper(), path, first_example(found), found["responses"]
            )


def first_example(operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    return resolved(next(iter(examples.values())))["value"]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """`part` of the contract, or what it refers to."""
    if "$ref" not in part:
        return part
    found = CONTRACT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolved(found)


@dataclass(frozen=True)
class World:
    """The servers: with a shared secret and with accounts, each also without its database. And who asks."""

    ada: Person
    away: httpx.Client
    accounts: httpx.Client
    accounts_away: httpx.Client
    credentials: dict[str, str]
    signed_up: httpx.Response

    def ask(
        self,
        operation: Operation,
        *,
        at: httpx.Client | None = None,
        user_id: str | None = None,
        task_id: int | None = None,
        token: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """A request that succeeds, but for what is given."""
        is_on_accounts = operation.id.startswith("auth.")
        at = at or (self.accounts if is_on_accounts else self.ada.http)
        path = operation.path.format(
            user_id=user_id or self.ada.id, task_id=task_id or self.ada.has_task()["id"]
        )
        headers = (self.ada.headers if token is None else token) | options.pop("headers", {})
        if operation.body is not None and "content" not in options:
            options = {"json": self.credentials if is_on_accounts else operation.body} | options
        return at.request(operation.method, path, headers=headers, **options)


Scenario = Callable[[World, Operation], httpx.Response]


def asks_for_nothing_there(world: World, operation: Operation) -> httpx.Response:
    if operation.id.startswith("auth."):
        return world.ask(operation, at=world.ada.http)  # where an outside issuer signs the tokens
    if "{task_id}" in operation.path:
        return world.ask(operation, task_id=MISSING)
    return world.ask(operation, user_id="a%2Fb")


def asks_without_database(world: World, operation: Operation) -> httpx.Response:
    at = world.accounts_away if operation.id.startswith("auth.") else world.away
    return world.ask(operation, at=at)


SCENARIOS: dict[str, Scenario] = {
    "200": World.ask,
    "201": World.ask,
    "204": World.ask,
    "400": lambda world, operation: world.ask(operation, params={"undeclared": "1"}),
    "401": lambda world, operation: world.ask(operation, token={}),
    "403": lambda world, operation: world.ask(operation, user_id="someone-else"),
    "404": asks_for_nothing_there,
    "413": lambda world, operation: world.ask(operation, **TOO_LARGE),
    "415": lambda world, operation: world.ask(operation, **PLAIN),
    "503": asks_without_database,
}
SPECIAL: dict[tuple[str, str], Scenario] = {
    ("auth.signup", "201"): lambda world, _: world.signed_up,
    ("auth.signup", "409"): World.ask,
    ("auth.signup", "422"): lambda world, operation: world.ask(
        operation, json=world.credentials | {"password": "password"}
    ),
    ("auth.login", "401"): lambda world, operation: world.ask(
        operation, json=world.credentials | {"password": "three green pigeons"}
    ),
}
DOCUMENTED = {
    (operation.id, status): operation for operation in operations() for status in operation.responses
}


@pytest.fixture(scope="session")
def away(database: str, folder: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of two servers whose database is not there: with a shared secret, and with accounts."""
    url = {
        "sqlite": f"sqlite:///{folder / 'no-such-folder' / 'todo.db'}",
        "postgresql": "postgresql://127.0.0.1:1/none",
    }[database]
    # Both at once: a server without its database waits 5 s for it before it answers.
    servers = [start(folder, DATABASE_URL=url, **more) for more in ({"BETTER_AUTH_SECRET": SECRET}, {})]
    try:
        with_secret, with_accounts = (
            httpx.Client(base_url=wait_until_live(server).url, timeout=20) for server in servers
        )
        with with_secret, with_accounts:
            yield with_secret, with_accounts
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def world(http: httpx.Client, accounts: httpx.Client, away: tuple[httpx.Client, httpx.Client]) -> World:
    credentials = {"email": f"{secrets.token_hex(8)}@example.com", "password": "three green parrots"}
    signed_up = accounts.post("/api/auth/signup", json=credentials)
    return World(new_person(http), away[0], accounts, away[1], credentials, signed_up)


@pytest.mark.parametrize(("operation_id", "status"), DOCUMENTED)
def test_documented_status_is_given_as_documented(world: World, operation_id: str, status: str):
    operation = DOCUMENTED[operation_id, status]
    scenario = SPECIAL.get((operation_id, status)) or SCENARIOS.get(status)
    assert scenario, f"{operation_id} documents {status}, and no scenario here gives it"
    answer = scenario(world, operation)
    assert answer.status_code == int(status), answer.text
    documented = resolved(operation.responses[status])
    assert_body(answer, documented.get("content", {}))
    assert_headers(answer, documented.get("headers", {}))


def test_no_scenario_is_left_over():
    assert SPECIAL.keys() <= DOCUMENTED.keys()
    assert SCENARIOS.keys() <= {status for _, status in DOCUMENTED}


def assert_body(answer: httpx.Response, content: dict[str, Any]) -> None:
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert media_type == "".join(content), "not the documented media type"
    if not content:
        assert answer.content == b""
    else:
        value = answer.json() if media_type.endswith("json") else answer.text
        assert faults(value, content[media_type]["schema"]) == []


def assert_headers(answer: httpx.Response, headers: dict[str, Any]) -> None:
    for name, header in headers.items():
        documented = resolved(header)
        assert name in answer.headers or not documented.get("required"), f"{name} is missing"
        if name in answer.headers:
            text = answer.headers[name]
            is_integer = documented["schema"]["type"] == "integer"
            assert faults(int(text) if is_integer else text, documented["schema"]) == [], name


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    whole = to_json_schema({"allOf": [schema], "components": CONTRACT["components"]})
    validator = jsonschema_rs.Draft4Validator(whole, validate_formats=True)
    return [str(error) for error in validator.iter_errors(value)]
