"""Programs that only some tests need: Node.js, a browser, servers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "node_modules"
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))  # where Debian puts servers


def find(*names: str) -> str | None:
    """Return the path of the first of these programs that is installed."""
    return next((found for name in names if (found := shutil.which(name, path=PATH))), None)


def find_uv() -> str | None:
    """Return the path of uv, which the Makefile installs beside the packages if the system has none."""
    return shutil.which("uv", path=os.pathsep.join((PATH, f"{sys.prefix}/uv/bin")))


def needed(*names: str, package: str) -> str:
    """Return the path of the first of these programs. Skip the test when none is installed."""
    return find(*names) or leave_out(f"{names[0]} is not installed: install {package}")


def needed_node() -> str:
    """Return the path of Node.js. Skip the test without it or without the packages of package.json."""
    node = needed("node", package="Node.js 20 or newer, then run `make install`")
    if not NODE_MODULES.is_dir():
        leave_out("the packages of package.json are not installed: run `make install`")
    return node


def run_node(
    *arguments: str | Path, given: str = "", cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `node` with these arguments, and `given` as its standard input."""
    return subprocess.run(
        (needed_node(), *arguments),
        input=given,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def compile_typescript(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run the TypeScript compiler. Fail with its messages."""
    ended = run_node(NODE_MODULES / "typescript" / "bin" / "tsc", *arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stdout


def leave_out(why: str) -> str:
    """Skip the test and say why. Fail in CI, where every program is installed."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
