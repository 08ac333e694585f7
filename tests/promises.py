"""The contract as the tests read it, and every answer held to it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import yaml

from contract.schemas import to_json_schema
from tests.server import ROOT

CONTRACT = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Operation(NamedTuple):
    """An operation of the contract. `body` is the first it shows, None where it takes none.

    `has_input` is whether one request to it can differ from another.
    """

    id: str
    method: str
    path: str
    body: Any
    security: list[dict[str, Any]]
    responses: dict[str, Any]
    has_input: bool


def operations() -> Iterator[Operation]:
    for path, item in CONTRACT["paths"].items():
        for method in METHODS:
            if found := item.get(method):
                yield Operation(
                    id=found["operationId"],
                    method=method.upper(),
                    path=path,
                    body=first_example(found),
                    security=found.get("security", CONTRACT["security"]),
                    responses=found["responses"],
                    has_input="parameters" in {*item, *found} or "requestBody" in found,
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


def client_of(url: str, **options: Any) -> httpx.Client:
    """A client whose every answer is held to the contract."""
    settings: dict[str, Any] = {"timeout": 20, "verify": False} | options  # certificates take 33 ms to read
    return httpx.Client(base_url=url, event_hooks={"response": [hold_to_contract]}, **settings)


def hold_to_contract(answer: httpx.Response) -> None:
    """Fails when the contract does not have this status, or has it with another body or other headers."""
    answer.read()
    path = answer.request.url.raw_path.partition(b"?")[0].decode()
    if path.startswith("/docs") or (answer.request.method == "OPTIONS" and answer.status_code == 200):
        return  # Swagger UI, and preflights: not of the contract
    documented = documented_answer(answer.request.method, path, str(answer.status_code))
    if documented is None:
        what = f"{answer.request.method} {path} gives an undocumented {answer.status_code}"
        assert answer.status_code in {403, 404, 405}, what
        documented = {"content": {"application/problem+json": {"schema": PROBLEM}}}
    check_body(answer, documented.get("content", {}))
    check_headers(answer, documented.get("headers", {}))


def documented_answer(method: str, path: str, status: str) -> dict[str, Any] | None:
    """What the contract says of that status there; None for a path, method or status that it has not."""
    for operation in operations_on(path):
        if operation.method == ("GET" if method == "HEAD" else method):
            found = operation.responses.get(status)
            assert found or status in {"404", "405"}, f"{operation.id} gives an undocumented {status}"
            return resolved(found) if found else None
    return None


def operations_on(path: str) -> list[Operation]:
    return [operation for pattern, operation in _patterns() if pattern.fullmatch(path)]


@cache
def _patterns() -> list[tuple[re.Pattern[str], Operation]]:
    return [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", found.path)), found) for found in operations()]


def check_body(answer: httpx.Response, content: dict[str, Any]) -> None:
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert media_type == "".join(content), "not the documented media type"
    if not content or answer.request.method == "HEAD":
        assert answer.content == b""
    else:
        value = answer.json() if media_type.endswith("json") else answer.text
        assert faults(value, content[media_type]["schema"]) == []


def check_headers(answer: httpx.Response, headers: dict[str, Any]) -> None:
    for name, header in headers.items():
        documented = resolved(header)
        assert name in answer.headers or not documented.get("required"), f"{name} is missing"
        if name in answer.headers:
            text = answer.headers[name]
            is_integer = documented["schema"]["type"] == "integer"
            assert faults(int(text) if is_integer else text, documented["schema"]) == [], name


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    return [str(error) for error in _validator(json.dumps(schema)).iter_errors(value)]


@cache
def _validator(schema: str) -> jsonschema_rs.Draft4Validator:
    whole = to_json_schema({"allOf": [json.loads(schema)], "components": CONTRACT["components"]})
    return jsonschema_rs.Draft4Validator(whole, validate_formats=True)
