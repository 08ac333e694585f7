"""The arguments of the command line, and the text of `--help`.

A command names its function, which is imported only when it runs, because the server's libraries take half a
second.
"""

import argparse
from pathlib import Path
from typing import Any

ENDINGS = "Ends with 0, or 1 when it failed, 2 when it is used wrongly, 130 after Ctrl-C."
USER = "the person's id, or the email of an account here"


def parser() -> argparse.ArgumentParser:
    """Return the parser. Its `command` is `module:function`, for a call with settings and arguments."""
    root = argparse.ArgumentParser(
        prog="todo",
        description="A multi-user todo backend, contract first. Settings come from the environment and from "
        ".env in this folder.",
        epilog=f"{ENDINGS} `todo COMMAND --help` says more of one.",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _command(commands, "serve", "cli.serving:run", "serve the API")
    _command(commands, "migrate", "cli.database:migrate", "bring the database to the newest schema")
    _check_config(commands)
    _user(commands)
    _export(commands)
    _import(commands)
    return root


def _command(
    commands: Any, name: str, function: str, summary: str, description: str = ""
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description or f"{summary[0].upper()}{summary[1:]}."
    )
    made.set_defaults(command=function)
    return made


def _text(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not UTF-8") from None
    return argument


def _check_config(commands: Any) -> None:
    _command(
        commands,
        "check-config",
        "cli.checks:run",
        "say what is set, and try it",
        "Say each setting in effect and where it comes from, secrets only as set, and try what can be tried:"
        " the contract, the database, the issuer's keys, Redis, the port. Changes nothing. Ends with 1 when"
        " something is wrong.",
    )


def _user(commands: Any) -> None:
    user = commands.add_parser("user", help="add or remove a person", description="Add or remove a person.")
    actions = user.add_subparsers(required=True, metavar="ACTION", title="actions")
    add = _command(
        actions,
        "add",
        "cli.people:add",
        "make an account",
        "Make an account, by the rules of the sign-up, and print its id. Asks for the password twice, or"
        " reads one line where standard input is no terminal. Only where this server keeps the accounts.",
    )
    add.add_argument("email", type=_text, metavar="EMAIL", help="what the person logs in with")
    remove = _command(
        actions,
        "remove",
        "cli.people:remove",
        "remove a person and all that is theirs",
        "Remove a person whole: the answers kept for their Idempotency-Keys, their tasks, their account. The"
        " server goes on meanwhile; what is interrupted can be run again. Tokens stay valid until they"
        " expire: the user of an outside issuer comes back, with no tasks, at their next write. A row in a"
        " table users of another program is left alone.",
    )
    remove.add_argument("user", type=_text, metavar="USER", help=USER)
    remove.add_argument("--yes", action="store_true", help="do not ask (required without a terminal)")


def _export(commands: Any) -> None:
    export = _command(
        commands,
        "export",
        "cli.exports:run",
        "write a person's data as JSON Lines",
        "Write a person's data as JSON Lines: the person, then a line for each task as the API gives it,"
        " oldest first. A task that is there all the while is there exactly once; one that is changed"
        " meanwhile, as it was before or after.",
    )
    export.add_argument("user", type=_text, metavar="USER", help=USER)
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="instead of standard output; for its owner's eyes only"
    )
    export.add_argument("--force", action="store_true", help="overwrite FILE")


def _import(commands: Any) -> None:
    importing = _command(
        commands,
        "import",
        "cli.imports:run",
        "read tasks from such lines",
        "Read tasks from lines as `todo export` writes them: title, and if given description, completed,"
        " created_at and updated_at; whatever else is there is ignored, ids are new. Everything is checked"
        " first: one bad line, and nothing is stored. What is interrupted goes on where it was when the same"
        " file is imported again within a day.",
    )
    importing.add_argument("user", type=_text, metavar="USER", help=USER)
    importing.add_argument("file", type=Path, nargs="?", metavar="FILE", help="instead of standard input")
    importing.add_argument(
        "--add", action="store_true", help="even if the person has tasks already (before USER)"
    )
