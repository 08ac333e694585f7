"""The TypeScript client: it is what the contract says, compiles, and holds what it promises."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.server import ROOT, Server, run_server
from tests.support.users import SECRET

CLIENT = ROOT / "clients" / "typescript"
BUILD = CLIENT / "build"
README_SERVER = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def node() -> str:
    return programs.needed_node()


def run(node: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Node.js does with these, in the client's folder."""
    return subprocess.run(
        [node, *arguments],
        cwd=CLIENT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def tool(package: str, script: str) -> Path:
    return programs.NODE_MODULES / package / "bin" / script


def readme_examples(address: str) -> str:
    """The README's ts blocks as one module, where each goes on from those before; against this server."""
    blocks = re.findall(
        r"^```ts\n(.*?)^```", (CLIENT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert blocks
    return "".join(blocks).replace(README_SERVER, address)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts of its own. Which database is behind it does not matter here."""
    with run_server(tmp_path_factory.mktemp("accounts")) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose tokens the tests sign."""
    with run_server(tmp_path_factory.mktemp("secret"), BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def compiled(node: str, accounts: Server) -> Path:
    """The folder with what the strict compiler makes of the client, its tests and the README's examples."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    (BUILD / "readme.ts").write_text(readme_examples(accounts.url), "utf-8")
    ended = run(node, tool("typescript", "tsc"), "--build", "test")
    assert ended.returncode == 0, ended.stdout
    return BUILD / "js"


def test_committed_types_are_what_the_contract_generates(node: str, tmp_path: Path):
    made = tmp_path / "schema.ts"
    ended = run(node, tool("openapi-typescript", "cli.js"), ROOT / "openapi" / "todo.yaml", "--output", made)
    assert ended.returncode == 0, ended.stderr
    same = made.read_bytes() == (CLIENT / "src" / "schema.ts").read_bytes()
    assert same, "clients/typescript/src/schema.ts is not of this contract: run `make client` and commit it"


def test_client_keeps_its_promises(node: str, compiled: Path, server: Server, accounts: Server):
    files = sorted((compiled / "test").glob("*.test.js"))
    assert files
    addresses = {"TODO_URL": server.url, "TODO_ACCOUNTS_URL": accounts.url, "TODO_SECRET": SECRET}
    ended = run(node, "--test", "--test-reporter=spec", *files, **addresses)
    assert ended.returncode == 0, ended.stdout


def test_readme_examples_run(node: str, compiled: Path):
    ended = run(node, compiled / "build" / "readme.js")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["Buy milk", "Buy milk", "1"]
