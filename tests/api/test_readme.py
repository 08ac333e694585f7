"""The commands of the README do what it says."""

import re
import shlex
import subprocess
from pathlib import Path

from tests.support.command_line import call_todo
from tests.support.databases import on_sqlite
from tests.support.server import ROOT, Server, find_free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_block(heading: str) -> str:
    """Return the first shell block under `heading`."""
    section = README.partition(f"## {heading}\n")[2]
    return section.partition("```sh\n")[2].partition("```")[0]


@on_sqlite
def test_first_task_is_created_in_four_lines(account_server: Server):
    script = shell_block("A first task").replace("http://127.0.0.1:8000", account_server.url)
    assert len(script.strip().splitlines()) == 4
    ran = subprocess.run(
        ["bash", "-e"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "HTTP/1.1 201 Created" in ran.stdout
    assert '"title":"Buy milk"' in ran.stdout


def test_commands_of_an_operator_succeed(tmp_path: Path):
    assert call_todo(tmp_path, "migrate").status == 0
    for line in shell_block("Running it").strip().splitlines():
        _script, *arguments = shlex.split(line, comments=True)
        is_removal = "remove" in arguments
        given = "y\n" if is_removal else "three green parrots\n"
        ended = call_todo(
            tmp_path, *arguments, given=given, is_terminal=is_removal, PORT=str(find_free_port())
        )
        assert ended.status == 0, (line, ended)
    assert (tmp_path / "ada.jsonl").read_text(encoding="utf-8").startswith('{"type":"user"')


def test_every_setting_is_explained():
    names = re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in README] == []
