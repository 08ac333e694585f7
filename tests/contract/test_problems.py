"""Each problem in the contract has the status, the title and a detail that the code has for its type."""

from collections.abc import Iterator
from typing import Any

import pytest

from contract import problems
from contract.problems import HttpProblem, Problem
from tests.support.contract_checks import CONTRACT

ARGUMENTS: dict[str, dict[str, Any]] = {
    "InvalidRequest": {"violations": [{"in": "body", "pointer": "/title", "keyword": "maxLength"}]},
    "TooLarge": {"max_bytes": 65536},
    "LongPassword": {"max_bytes": 72},
    "TooManyTasks": {"max_tasks": 100_000},
    "TooManyRequests": {"name": "api", "count": 1200, "window_s": 60, "wait_s": 37},
}
RAISED = [
    found(**ARGUMENTS.get(name, {}))
    for name, found in vars(problems).items()
    if isinstance(found, type) and issubclass(found, Problem) and found is not HttpProblem
]


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
