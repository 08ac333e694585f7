"""Other people's programs that some tests need: Node.js, a browser, servers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "node_modules"
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))  # where Debian puts servers


def find(*names: str) -> str | None:
    """The first of these that is installed."""
    return next((found for name in names if (found := shutil.which(name, path=PATH))), None)


def needed(*names: str, package: str) -> str:
    """The same; where none is, the test is left out."""
    return find(*names) or leave_out(f"{names[0]} is not installed: install {package}")


def needed_node() -> str:
    """Node.js, with the packages of package.json."""
    node = needed("node", package="Node.js 20 or newer, then run `make install`")
    if not NODE_MODULES.is_dir():
        leave_out("the packages of package.json are not installed: run `make install`")
    return node


def run_node(*words: str | Path, given: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What came of `node` with these words and `given` on its standard input."""
    command = (needed_node(), *words)
    return subprocess.run(
        command, input=given, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def leave_out(why: str) -> str:
    """Skip the test, and say why; in CI fail, so that it is seen."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
