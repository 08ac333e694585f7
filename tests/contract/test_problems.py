"""Each problem in the contract has the status, the title and a detail that the code has for its type.

The catalogue of types in the contract, its page in docs/ and the type of the TypeScript client list the same.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from contract import problems
from contract.problems import Problem
from contract.violations import create_violation
from tests.support.contract_checks import CONTRACT
from tests.support.server import ROOT

ARGUMENTS: dict[str, dict[str, Any]] = {
    "InvalidRequest": {
        "violations": [create_violation("body", ["title"], "maxLength", "at most 200 characters", 200)]
    },
    "InvalidToken": {"reason": "exp"},
    "PreflightRefused": {"reason": "origin"},
    "StaleVersion": {"current": {}, "etag": '"2"'},
    "TooLarge": {"max_bytes": 65536},
    "LongPassword": {"max_bytes": 72},
    "TooManyTasks": {"max_tasks": 100_000},
    "TooManyRequests": {"name": "api", "count": 1200, "window_s": 60, "wait_s": 37},
}
RAISED = [
    found(**ARGUMENTS.get(name, {}))
    for name, found in vars(problems).items()
    if isinstance(found, type) and issubclass(found, Problem)
]
CATALOGUE = CONTRACT["x-problem-types"]


def texts(problem: Problem) -> tuple[str, int, str, str]:
    return f"urn:todo:problem:{problem.code}", problem.status, problem.title, problem.detail


def examples() -> Iterator[tuple[str, int, str, str]]:
    for response in CONTRACT["components"]["responses"].values():
        content = response.get("content", {}).get("application/problem+json", {})
        named = [example["value"] for example in content.get("examples", {}).values()]
        for example in [content["example"]] if "example" in content else named:
            yield example["type"], example["status"], example["title"], example["detail"]


@pytest.mark.parametrize("example", [*examples()], ids=lambda example: example[0].rpartition(":")[2])
def test_problem_of_the_contract_is_one_of_the_code(example: tuple[str, int, str, str]):
    assert example in map(texts, RAISED)


def test_only_problems_outside_the_operations_are_missing_in_the_contract():
    """A 500, what the edge rejects before routing, and a missing token, which has the example of 401."""
    documented = {example[0].rpartition(":")[2] for example in examples()}
    assert {problem.code for problem in RAISED} - documented == {
        "internal-error",
        "method-not-allowed",
        "preflight-refused",
        "unauthenticated",
        "unreadable",
    }


def test_catalogue_lists_every_type_with_its_status():
    listed = [(entry["type"], entry["status"]) for entry in CATALOGUE]
    assert sorted(listed) == sorted({texts(problem)[:2] for problem in RAISED})


def test_page_shows_the_catalogue():
    page = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    rows = [
        f"| `{entry['type']}` | {entry['status']} | {entry['when']} | {entry['action']} |"
        for entry in CATALOGUE
    ]
    assert [line for line in page.splitlines() if line.startswith("| `urn:")] == rows


def test_typescript_client_knows_every_type():
    source = (ROOT / "clients" / "typescript" / "src" / "problem.ts").read_text(encoding="utf-8")
    assert re.findall("'(urn:todo:problem:[a-z-]+)'", source) == [entry["type"] for entry in CATALOGUE]
