"""The README's own commands do what it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import ROOT, Server, find_free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_block(heading: str) -> str:
    """The first shell block under `heading`."""
    section = README.partition(f"## {heading}\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


@pytest.fixture(scope="module")
def first_task(account_server: Server) -> subprocess.CompletedProcess[str]:
    """What the lines of "A first task" print, run as written but for the port."""
    script = shell_block("A first task").replace("http://127.0.0.1:8000", account_server.url)
    return subprocess.run(
        ["bash", "-e"], input=script, capture_output=True, text=True, timeout=60, check=False
    )


def test_first_task_is_created(first_task: subprocess.CompletedProcess[str]):
    assert first_task.returncode == 0, first_task.stderr
    assert "HTTP/1.1 201 Created" in first_task.stdout


def test_first_task_is_given_back(first_task: subprocess.CompletedProcess[str]):
    assert '"title":"Buy milk"' in first_task.stdout


def test_first_task_takes_four_lines():
    assert len(shell_block("A first task").strip().splitlines()) == 4


def test_commands_for_whoever_runs_it_do_what_they_say(tmp_path: Path):
    (tmp_path / "todo").symlink_to(ROOT / "todo")
    script = "set -e\n./todo migrate\n" + shell_block("Running it").replace("remove", "remove --yes")
    settings = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "sqlite:///todo.db",
        "PORT": str(find_free_port()),
    }
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=settings,
        input="three green parrots\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "ada.jsonl").read_text(encoding="utf-8").startswith('{"type":"user"')


def test_every_setting_is_explained():
    names = re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in README] == []
