"""Read the contract as the tests use it, and check every response against it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import yaml

from contract.validation import to_json_schema
from tests.support.server import ROOT

CONTRACT = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Operation(NamedTuple):
    """An operation of the contract.

    `body` is its first example, None for an operation without a body. `has_input` is false when all requests
    to the operation are the same.
    """

    id: str
    method: str
    path: str
    body: Any
    security: list[dict[str, Any]]
    responses: dict[str, Any]
    has_input: bool
    query: str
    """The required query parameters with their last values, `?status=all`. Empty for most operations."""

    @property
    def success(self) -> int:
        """The only 2xx status of the operation."""
        [status] = [int(status) for status in self.responses if status.startswith("2")]
        return status


def operations() -> Iterator[Operation]:
    """Yield every operation of the contract."""
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
                    query="".join(f"?{p['name']}={p['schema']['enum'][-1]}" for p in required_query(found)),
                )


def required_query(operation: dict[str, Any]) -> list[dict[str, Any]]:
    parameters = [resolve(parameter) for parameter in operation.get("parameters", [])]
    return [parameter for parameter in parameters if parameter["in"] == "query" and parameter.get("required")]


def first_example(operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    return resolve(next(iter(examples.values())))["value"]


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Return `part` of the contract, or what it refers to."""
    if "$ref" not in part:
        return part
    found = CONTRACT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolve(found)


def open_client(url: str, **options: Any) -> httpx.Client:
    """Return a client that checks every response against the contract."""
    settings: dict[str, Any] = {"timeout": 20, "verify": False} | options  # loading certificates takes 33 ms
    return httpx.Client(base_url=url, event_hooks={"response": [check_response]}, **settings)


def check_response(response: httpx.Response) -> None:
    """Fail when the contract does not have this status, or has it with another body or other headers."""
    response.read()
    path = response.request.url.raw_path.partition(b"?")[0].decode()
    if (
        path.startswith("/docs")
        or path == "/"
        or (response.request.method == "OPTIONS" and response.status_code == 200)
    ):
        return  # the contract has neither Swagger UI nor preflight requests
    documented = find_documented(response.request.method, path, str(response.status_code))
    if documented is None:
        what = f"{response.request.method} {path} gives an undocumented {response.status_code}"
        assert response.status_code in {403, 404, 405}, what
        documented = {"content": {"application/problem+json": {"schema": PROBLEM}}}
    check_body(response, documented.get("content", {}))
    check_headers(response, documented.get("headers", {}))


def find_documented(method: str, path: str, status: str) -> dict[str, Any] | None:
    """Return the documented response; None for a path, method or status that the contract does not have."""
    for operation in operations_on(path):
        if operation.method == ("GET" if method == "HEAD" else method):
            found = operation.responses.get(status)
            assert found or status in {"404", "405"}, f"{operation.id} gives an undocumented {status}"
            return resolve(found) if found else None
    return None


def operations_on(path: str) -> list[Operation]:
    return [operation for pattern, operation in _patterns() if pattern.fullmatch(path)]


@cache
def _patterns() -> list[tuple[re.Pattern[str], Operation]]:
    return [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", found.path)), found) for found in operations()]


def check_body(response: httpx.Response, content: dict[str, Any]) -> None:
    media_type = response.headers.get("content-type", "").partition(";")[0]
    assert media_type == "".join(content), "not the documented media type"
    if not content or response.request.method == "HEAD":
        assert response.content == b""
    else:
        value = response.json() if media_type.endswith("json") else response.text
        assert find_violations(value, content[media_type]["schema"]) == []


def check_headers(response: httpx.Response, headers: dict[str, Any]) -> None:
    for name, header in headers.items():
        documented = resolve(header)
        assert name in response.headers or not documented.get("required"), f"{name} is missing"
        if name in response.headers:
            text = response.headers[name]
            is_integer = documented["schema"]["type"] == "integer"
            assert find_violations(int(text) if is_integer else text, documented["schema"]) == [], name


def find_violations(value: Any, schema: dict[str, Any]) -> list[str]:
    return [str(error) for error in _validator(json.dumps(schema)).iter_errors(value)]


@cache
def _validator(schema: str) -> jsonschema_rs.Draft4Validator:
    whole = to_json_schema({"allOf": [json.loads(schema)], "components": CONTRACT["components"]})
    return jsonschema_rs.Draft4Validator(whole, validate_formats=True)
