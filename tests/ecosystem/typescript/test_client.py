"""The TypeScript client compiles, keeps its promises, and the examples of its README run."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import compile_typescript, run_node
from tests.support.server import ROOT, Server, run_server
from tests.support.users import SECRET

CLIENT = ROOT / "clients" / "typescript"
BUILD = CLIENT / "build"
README_SERVER = "http://127.0.0.1:8000"
# The same strict options, but the types of Node.js and of browsers are not checked: that takes 14 s of CPU.
CONFIGS = {
    "client.json": {"extends": "../tsconfig.json", "compilerOptions": {"skipLibCheck": True}},
    "tests.json": {
        "extends": "../test/tsconfig.json",
        "compilerOptions": {"skipLibCheck": True},
        "references": [{"path": "client.json"}],
    },
}


def readme_examples(server_url: str) -> str:
    """Return the ts blocks of the README as one module: each continues the one before."""
    readme = (CLIENT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```ts\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert blocks
    return "".join(blocks).replace(README_SERVER, server_url)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with its own accounts."""
    with run_server(tmp_path_factory.mktemp("accounts")) as server:
        yield server


@pytest.fixture(scope="module")
def compiled(accounts: Server) -> Path:
    """The folder with the compiled client, its tests and the examples of the README."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    (BUILD / "readme.ts").write_text(readme_examples(accounts.url), "utf-8")
    for name, config in CONFIGS.items():
        (BUILD / name).write_text(json.dumps(config), "utf-8")
    compile_typescript("--build", "build/tests.json", cwd=CLIENT)
    return BUILD / "js"


def test_client_passes_its_own_tests(compiled: Path, accounts: Server, tmp_path: Path):
    files = sorted((compiled / "test").glob("*.test.js"))
    assert files
    with run_server(tmp_path, BETTER_AUTH_SECRET=SECRET) as server:
        settings = {"TODO_URL": server.url, "TODO_ACCOUNTS_URL": accounts.url, "TODO_SECRET": SECRET}
        ended = run_node("--test", "--test-reporter=spec", *files, cwd=CLIENT, **settings)
    assert ended.returncode == 0, ended.stdout


def test_examples_of_the_readme_run(compiled: Path):
    ended = run_node(compiled / "build" / "readme.js", cwd=CLIENT)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["Buy milk", "Buy milk", "1"]
