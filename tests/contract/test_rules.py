"""Each rule of openapi/spectral.yaml finds a planted violation."""

import json

import pytest
import yaml

from tests.support.contract_edits import Edit, drop, edited, put
from tests.support.programs import NODE_MODULES, run_node

SCHEMAS, PARAMETERS = "components schemas", "components parameters"
LIST, TASK, SIGNUP = (
    "paths /api/{user_id}/tasks",
    "paths /api/{user_id}/tasks/{task_id}",
    "paths /api/auth/signup",
)
FAILURE = {"description": "No.", "content": {"application/problem+json": {"schema": {"type": "object"}}}}

FAULTS: dict[str, Edit] = {
    "todo-operation-summary": drop(f"{TASK} get summary"),
    "operation-description": drop(f"{TASK} get description"),
    "operation-tags": drop(f"{TASK} get tags"),
    "operation-operationId": drop(f"{TASK} put operationId"),
    "todo-operation-id": put(f"{TASK} get operationId", "getTask"),
    "todo-wall": put(f"{TASK} delete security", [{}, {"bearer": []}]),
    "todo-wall-by-default": drop("security"),
    "todo-statuses-of-users": drop(f"{TASK} get responses 403"),
    "todo-statuses-of-bodies": drop(f"{TASK} put responses 413"),
    "todo-rate-limit": drop(f"{LIST} get x-rate-limit"),
    "todo-problem": put(
        f"{SIGNUP} post responses 418", {"description": "No.", "content": {"text/plain": {}}}
    ),
    "todo-problem-schema": put(f"{SIGNUP} post responses 410", FAILURE),
    "todo-request-id": drop("components responses Health headers"),
    "todo-snake-case": put(f"{SCHEMAS} Task properties dueDate", {"type": "boolean"}),
    "todo-header-without-example": put(f"{PARAMETERS} if_match schema", {"type": "string", "example": "x"}),
    "todo-open-objects": put(f"{SCHEMAS} Completion additionalProperties", False),
    "owasp:api1:2023-no-numeric-ids": put(f"{PARAMETERS} user_id schema", {"type": "integer"}),
    "owasp:api2:2023-write-restricted": put(f"{LIST} post security", []),
    "owasp:api2:2023-read-restricted": put(f"{LIST} get security", []),
    "owasp:api2:2023-jwt-best-practices": put("components securitySchemes bearer description", "A JWT."),
    "owasp:api4:2023-rate-limit": drop("components responses TooManyRequests headers RateLimit"),
    "owasp:api4:2023-rate-limit-retry-after": drop(
        "components responses TooManyRequests headers Retry-After"
    ),
    "owasp:api4:2023-rate-limit-responses-429": drop(f"{TASK} patch responses 429"),
    "owasp:api4:2023-array-limit": drop(f"{SCHEMAS} Tasks maxItems"),
    "owasp:api4:2023-string-limit": drop(f"{SCHEMAS} Title maxLength"),
    "owasp:api4:2023-string-restricted": drop(f"{SCHEMAS} Title pattern"),
    "owasp:api4:2023-integer-format": drop(f"{SCHEMAS} TaskId format"),
    "owasp:api4:2023-integer-limit-legacy": drop(f"{SCHEMAS} TaskId maximum"),
    "owasp:api8:2023-define-error-responses-401": drop(f"{TASK} patch responses 401"),
    "owasp:api8:2023-define-error-validation": drop(f"{TASK} delete responses 400"),
    "oas3-valid-media-example": put("components examples Task value id", "one"),
    "oas3-unused-component": put(f"{SCHEMAS} Nobody", {"type": "boolean"}),
}
"""Faults by the rule that is to find each."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The rules that find a violation if all are planted at once, because a run takes two seconds."""
    contract = yaml.safe_dump(edited(*FAULTS.values()), sort_keys=False)
    report = tmp_path_factory.mktemp("rules") / "report.json"  # a pipe might lose what exceeds 64 KiB
    words = ("lint", "--quiet", "--format=json", f"--output={report}", "--ruleset=openapi/spectral.yaml")
    path = "--stdin-filepath=openapi/todo.yaml"  # which the exceptions are for
    run_node(NODE_MODULES / ".bin" / "spectral", *words, path, given=contract)
    return {finding["code"] for finding in json.loads(report.read_text("utf-8"))}


@pytest.mark.parametrize("rule", FAULTS)
def test_planted_violation_is_found_by_its_rule(found: set[str], rule: str):
    assert rule in found
