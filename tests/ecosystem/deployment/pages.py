"""The pages of deploy/, and the code blocks in them."""

import re

from tests.support.server import ROOT

DEPLOY = ROOT / "deploy"


def blocks(page: str, language: str) -> list[str]:
    """Return every code block of that language."""
    text = (DEPLOY / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def settings_of(page: str) -> dict[str, str]:
    """Return the settings of the only block that is an environment file."""
    [block] = [block for block in blocks(page, "sh") if block.splitlines()[0].endswith(".env")]
    return dict(line.split("=", 1) for line in block.splitlines()[1:])
