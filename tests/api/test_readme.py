"""The commands of the README do what it says."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

from tests.support.command_line import call_todo
from tests.support.databases import on_sqlite
from tests.support.server import ROOT, Server, find_free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_blocks(heading: str) -> list[str]:
    """Return the shell blocks under `heading`."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def run_curl(command: str, server: Server, **variables: str) -> str:
    """Run a command of the README against `server` and return its output."""
    script = command.replace("http://127.0.0.1:8000", server.url)
    ran = subprocess.run(
        ["sh", "-e"], input=script, env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return ran.stdout


@on_sqlite
def test_first_task_is_created_in_three_steps(account_server: Server):
    sign_up, log_in, create = shell_blocks("A first task")
    run_curl(sign_up, account_server)
    session = json.loads(run_curl(log_in, account_server))
    printed = run_curl(create, account_server, TOKEN=session["access_token"], ID=session["user"]["id"])
    assert "HTTP/1.1 201 Created" in printed
    assert '"title":"Buy milk"' in printed


def test_commands_of_an_operator_succeed(tmp_path: Path):
    assert call_todo(tmp_path, "migrate").status == 0
    for line in shell_blocks("Run it")[0].strip().splitlines():
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
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []
