"""A change of the contract has the version it deserves, compared with the last release."""

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.contract_checks import CONTRACT
from tests.support.contract_edits import Contract, Edit, drop, edited, leave_out_most, put, together
from tests.support.programs import needed, run_node
from tests.support.server import ROOT

SCHEMAS, PARAMETERS = "components schemas", "components parameters"
LIST = "paths /api/{user_id}/tasks"
BREAKING = ROOT / "tests" / "contract" / "breaking.mjs"

Told = subprocess.CompletedProcess[str]


def contract_of(version: str, *edits: Edit) -> Contract:
    return edited(leave_out_most, put("info version", version), *edits)


A_BREAK = together(
    drop(f"{SCHEMAS} Task properties completed"), put(f"{PARAMETERS} limit schema maximum", 500)
)
AN_ADDITION = put(f"{SCHEMAS} Task properties due", {"type": "boolean"})


def test_versions_are_those_of_the_contract():
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]["clients/typescript"]
    client = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {part["version"] for part in (project, client, lock)} == {CONTRACT["info"]["version"]}


@pytest.fixture
def compare(tmp_path: Path) -> Callable[[Contract, Contract], Told]:
    """The result of breaking.mjs for two contracts."""

    def step(before: Contract, after: Contract) -> Told:
        files = tmp_path / "before.yaml", tmp_path / "after.yaml"
        for file, contract in zip(files, (before, after), strict=True):
            file.write_text(json.dumps(contract))  # JSON is YAML
        return run_node(BREAKING, *files)

    return step


def test_break_is_named(compare):
    told = compare(contract_of("1.2.0"), contract_of("1.3.0", A_BREAK))
    assert told.returncode == 1
    *breaks, why = told.stderr.splitlines()
    assert "GET /api/{user_id}/tasks: parameter limit maximum was 1000, is 500" in breaks
    assert "GET /api/{user_id}/tasks, response 200: items completed is gone" in breaks
    assert "POST /api/{user_id}/tasks, response 201 and 4 more: completed is gone" in breaks
    assert why == "This breaks clients of 1.2.0, and 1.3.0 is not a new major version: see CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("version", "edit", "status"),
    [
        ("2.0.0", A_BREAK, 0),
        ("10.0.0", A_BREAK, 0),
        ("1.10.0", A_BREAK, 1),
        ("1.10.0", AN_ADDITION, 0),
        ("1.9.0", AN_ADDITION, 1),
        ("1.8.9", AN_ADDITION, 1),
        ("1.9.0", put(f"{SCHEMAS} Title description", "x"), 0),
        ("1.8.9", put(f"{SCHEMAS} Title description", "x"), 1),
        ("1.9.0", put(f"{LIST} get deprecated", True), 1),
    ],
)
def test_version_says_what_changed(compare, version: str, edit: Edit, status: int):
    assert compare(contract_of("1.9.0"), contract_of(version, edit)).returncode == status


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A history of the contract: 1.0.0, then 1.1.0 twice, the second time not committed and with a break."""
    git(tmp_path, "init", "--quiet")
    keep(tmp_path, contract_of("1.0.0"))
    keep(tmp_path, contract_of("1.1.0", AN_ADDITION))
    write(tmp_path, contract_of("1.1.0", A_BREAK))
    return tmp_path


def git(folder: Path, *words: str) -> None:
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run((needed("git", package="git"), *author, *words), cwd=folder, check=True, timeout=60)


def write(folder: Path, contract: Contract) -> None:
    (folder / "openapi").mkdir(exist_ok=True)
    (folder / "openapi" / "todo.yaml").write_text(json.dumps(contract))


def keep(folder: Path, contract: Contract) -> None:
    write(folder, contract)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", contract["info"]["version"])


def compare_with_release(folder: Path) -> Told:
    return run_node(BREAKING, cwd=folder)


def test_contract_is_compared_with_the_last_release(repository: Path):
    told = compare_with_release(repository)
    assert told.returncode == 1
    assert "clients of 1.0.0" in told.stderr


def test_last_release_is_found_after_the_merge_too(repository: Path):
    keep(repository, contract_of("1.1.0", A_BREAK))
    git(repository, "switch", "--quiet", "--create", "more")
    keep(repository, contract_of("1.1.0"))
    git(repository, "switch", "--quiet", "-")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "Merge", "more")
    assert compare_with_release(repository).returncode == 0
    write(repository, contract_of("1.1.0", A_BREAK))
    assert "clients of 1.0.0" in compare_with_release(repository).stderr


def test_last_state_of_the_last_release_counts(repository: Path):
    write(repository, contract_of("1.2.0"))  # without a member of 1.1.0
    told = compare_with_release(repository).stderr
    assert "due is gone" in told
    assert "clients of 1.1.0" in told


@pytest.mark.parametrize("history", ["none", "shallow"])
def test_comparison_is_left_out_where_there_is_no_history(repository: Path, tmp_path_factory, history: str):
    folder = tmp_path_factory.mktemp(history)
    if history == "shallow":
        git(folder, "clone", "--quiet", "--depth=1", repository.as_uri(), ".")
    write(folder, contract_of("1.1.0", A_BREAK))
    told = compare_with_release(folder)
    assert told.returncode == 0
    assert told.stdout.startswith("Left out: no commit here has openapi/todo.yaml with another info.version")


@pytest.mark.parametrize(("environment", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["here", "in CI"])
def test_without_node_the_guards_are_left_out_but_not_in_ci(tmp_path: Path, environment, status: int):
    folder = tmp_path / "tests" / "contract"
    folder.mkdir(parents=True)
    check = shutil.copy(ROOT / "tests" / "contract" / "check", folder)
    environ = {name: value for name, value in os.environ.items() if name != "CI"} | environment
    told = subprocess.run(check, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.startswith("Left out: the rules, the breaking changes and the TypeScript types of")
    assert told.returncode == status
