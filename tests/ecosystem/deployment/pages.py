"""The pages of deploy/, and the blocks of code in them."""

import re

from tests.support.server import ROOT

DEPLOY = ROOT / "deploy"


def blocks(page: str, language: str) -> list[str]:
    """Every block of that language, as it is written."""
    text = (DEPLOY / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def dotenvs(page: str) -> list[dict[str, str]]:
    """The settings of each block that is a file of them."""
    found = [block.splitlines() for block in blocks(page, "sh") if re.match(r"# .*\.?env\b", block)]
    return [dict(line.split("=", 1) for line in lines if not line.startswith("#")) for lines in found]
