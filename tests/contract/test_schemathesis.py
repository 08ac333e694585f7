"""schemathesis attacks the running server with the contract, and the attack itself is held to account."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract import attack
from tests.support.contract_checks import operations
from tests.support.server import run_server

OWN_CHECKS = {"nothing_of_bob_appears", "bob_cannot_repeat_it"}
BUILT_IN_CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "allow_header_conformance",
    "response_headers_conformance", "response_schema_conformance", "missing_required_header", "ignored_auth",
    "negative_data_rejection", "positive_data_acceptance", "unsupported_method", "use_after_free",
    "ensure_resource_availability", "object_level_authorization",
}  # fmt: skip


def gate(attacked: attack.Attack) -> list[str]:
    """Why the attack proves nothing; empty when it proves something.

    A run can be green because every request was refused. So: ten successes of each operation, or all there
    are of one that takes no input and so has but one request; and for each operation that the contract links
    to, a success that followed the link.
    """
    too_few = [
        f"{operation}: {attacked.successes_of(operation)} successes, {least} needed"
        for operation, least in _least_successes().items()
        if attacked.successes_of(operation) < least
    ]
    unlinked = [
        f"{operation}: no success behind a link"
        for operation in _linked()
        if attacked.successes["stateful", operation] == 0
    ]
    left_out = [f"{name}: never checked" for name in (OWN_CHECKS | BUILT_IN_CHECKS) - attacked.checks]
    return too_few + unlinked + left_out


def _least_successes() -> dict[str, int]:
    return {
        f"{operation.method} {operation.path}": 10 if operation.has_input else 1
        for operation in operations()
        if operation.id != "service.contract"  # where schemathesis has the contract from; it leaves it out
    }


def _linked() -> list[str]:
    return ["POST /api/auth/login", *(name for name in _least_successes() if "{task_id}" in name)]


def test_server_withstands_the_attack(new_database: Callable[[], str], tmp_path: Path):
    with run_server(tmp_path, DATABASE_URL=new_database()) as server:
        attacked = attack.run(server, tmp_path)
    assert attacked.held, attacked.output
    assert attacked.bob_is_unharmed
    assert gate(attacked) == []


def test_gate_closes_when_every_request_is_refused(tmp_path: Path):
    with run_server(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/todo.db") as server:
        attacked = attack.run(server, tmp_path, "--include-tag", "tasks", token="nobody's")
    assert len([reason for reason in gate(attacked) if "0 successes" in reason]) >= 7


@pytest.mark.parametrize(
    ("leak", "operation", "finding"),
    [
        ("lists_forget_the_owner", "tasks.list", "an answer to Ada holds something of Bob's"),
        ("the_hook_believes_the_path", "tasks.create", "Bob repeats POST and gets 201"),
    ],
)
def test_planted_leak_is_found(leak: str, operation: str, finding: str, tmp_path: Path):
    assert finding in attack_leaky_server(leak, operation, tmp_path).output


def test_planted_leak_that_harms_without_a_word_is_found(tmp_path: Path):
    assert not attack_leaky_server("deletes_forget_the_owner", "tasks.delete", tmp_path).bob_is_unharmed


def attack_leaky_server(leak: str, operation: str, folder: Path) -> attack.Attack:
    command = (sys.executable, "-m", "tests.contract.leaky", leak, "serve")
    with run_server(folder, command, DATABASE_URL=f"sqlite:///{folder}/todo.db") as server:
        return attack.run(server, folder, "--include-operation-id", operation, "--phases", "coverage,fuzzing")
