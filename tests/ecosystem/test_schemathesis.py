"""schemathesis at full length, and proof that it finds leaks and that its gate closes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract import attack
from tests.support.server import run_server


def test_server_withstands_the_attack(new_database: Callable[[], str], tmp_path: Path):
    with run_server(tmp_path, DATABASE_URL=new_database()) as server:
        attacked = attack.run(server, tmp_path)
    assert attacked.held, attacked.output
    assert attacked.bob_is_unharmed
    assert attack.find_gaps(attacked, least=10) == []


def test_gate_closes_when_every_request_is_rejected(tmp_path: Path):
    with run_server(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/todo.db") as server:
        attacked = attack.run(server, tmp_path, "--include-tag", "tasks", token="nobody's")
    gaps = attack.find_gaps(attacked, least=1)
    assert len([gap for gap in gaps if "0 successes" in gap]) >= 7


@pytest.mark.parametrize(
    ("leak", "operation", "finding"),
    [
        ("lists_forget_the_owner", "tasks.list", "an answer to Ada holds something of Bob's"),
        ("the_hook_believes_the_path", "tasks.create", "Bob repeats POST and gets 201"),
    ],
)
def test_planted_leak_is_found(leak: str, operation: str, finding: str, tmp_path: Path):
    assert finding in attack_leaky_server(leak, operation, tmp_path).output


def test_planted_leak_without_an_error_response_is_found(tmp_path: Path):
    assert not attack_leaky_server("deletes_forget_the_owner", "tasks.delete", tmp_path).bob_is_unharmed


def attack_leaky_server(leak: str, operation: str, folder: Path) -> attack.Attack:
    command = (sys.executable, "-m", "tests.ecosystem.leaky_server", leak, "serve")
    with run_server(folder, command, DATABASE_URL=f"sqlite:///{folder}/todo.db") as server:
        return attack.run(server, folder, "--include-operation-id", operation, "--phases", "coverage,fuzzing")
