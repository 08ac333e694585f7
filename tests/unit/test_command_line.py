"""The arguments of the command line."""

import argparse
from pkgutil import resolve_name

import pytest

from cli.arguments import create_parser


def commands(root: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command by the words that call it."""
    found = {}
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= commands(command) or {command.prog: command}
    return found


def test_every_command_has_a_function_and_a_description():
    found = commands(create_parser())
    assert {name.removeprefix("todo ") for name in found} == {
        "serve", "migrate", "check-config", "check-token", "keys rotate", "user add", "user set-password",
        "user remove", "export", "backup",
        "import",
    }  # fmt: skip
    for command in found.values():
        assert callable(resolve_name(command.get_default("command")))
        assert command.description


@pytest.mark.parametrize(
    "words",
    [
        "", "user", "nonsense", "export", "export ada --force --nonsense", "export ada bob", "import",
        "import ada file.jsonl more", "user add", "user add ada@example.com bob@example.com", "user remove",
        "user add --yes ada@example.com", "serve 8000", "migrate 0001", "check-config PORT",
        "export --output ada", "export \udcff", "user remove \udcff --yes", "user add \udcff",
        "import \udcff",
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2_and_says_how_it_is_used(words: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        create_parser().parse_args(words.split())
    printed = capsys.readouterr()
    assert (raised.value.code, printed.out) == (2, "")
    assert printed.err.startswith("usage: todo")
