"""The arguments of the command line, and the text of `--help`.

A command names its function as text. The function is imported when the command runs, because the libraries of
the server take 0.5 s to import.
"""

import argparse
from pathlib import Path
from typing import Any

ENDINGS = "Exit status: 0, 1 if the command failed, 2 if it was called wrongly, 130 after Ctrl-C."
USER = "the user's id, or the email of an account of this server"


def create_parser() -> argparse.ArgumentParser:
    """Return the parser. It sets `command` to the `module:function` to call with settings and arguments."""
    root = argparse.ArgumentParser(
        prog="todo",
        description="A multi-user todo backend, contract first. Settings come from the environment and from "
        ".env in the working folder.",
        epilog=f"{ENDINGS} `todo COMMAND --help` describes a command.",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_command(commands, "serve", "cli.serve:run", "serve the API")
    _add_command(commands, "migrate", "cli.migrate:run", "bring the database to the newest schema")
    _add_check_config(commands)
    _add_check_token(commands)
    _add_backup(commands)
    _add_keys(commands)
    _add_user(commands)
    _add_export(commands)
    _add_import(commands)
    return root


def _add_command(
    commands: Any, name: str, function: str, summary: str, description: str = ""
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description or f"{summary[0].upper()}{summary[1:]}."
    )
    made.set_defaults(command=function)
    return made


def _parse_text(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not UTF-8") from None
    return argument


def _add_check_config(commands: Any) -> None:
    _add_command(
        commands,
        "check-config",
        "cli.check_config:run",
        "show the settings and check that they work",
        "Show each setting and where it comes from, without secrets, and check the contract, the"
        " database, the issuer's keys, Redis and the port. Change nothing. Exit with status 1 if a"
        " check fails.",
    )


def _add_check_token(commands: Any) -> None:
    _add_command(
        commands,
        "check-token",
        "cli.check_token:run",
        "explain why a token is accepted or rejected",
        "Read a token from standard input, verify it by the settings as the server does, and say which user"
        " it is for, or which check fails and what to do. Do not print the token. Exit with status 1 if it"
        " is rejected.",
    )


def _add_backup(commands: Any) -> None:
    backup = _add_command(
        commands,
        "backup",
        "cli.backup:run",
        "copy the SQLite database to a file",
        "Copy the SQLite database to FILE, which only its owner can read, and check the copy. The server may"
        " run and write meanwhile. The copy contains every write that was acknowledged before. It also"
        " contains the private keys of the built-in issuer.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="the copy; appears when it is complete")
    backup.add_argument("--force", action="store_true", help="overwrite FILE")


def _add_keys(commands: Any) -> None:
    keys = commands.add_parser(
        "keys",
        help="rotate the keys of the built-in issuer",
        description="Rotate the keys of the built-in issuer.",
    )
    actions = keys.add_subparsers(required=True, metavar="ACTION", title="actions")
    rotate = _add_command(
        actions,
        "rotate",
        "cli.keys:rotate",
        "create the next key and print its id",
        "Create the next key and print its id. Running servers sign with it from the next login on. The"
        " previous key is valid until all of its tokens have expired, after 15 minutes.",
    )
    rotate.add_argument(
        "--revoke",
        action="store_true",
        help="after a leak: remove all previous keys. Running servers reject their tokens after 5 minutes at"
        " most, and clients must refresh their sessions",
    )


def _add_user(commands: Any) -> None:
    user = commands.add_parser(
        "user", help="add, change or remove a user", description="Add, change or remove a user."
    )
    actions = user.add_subparsers(required=True, metavar="ACTION", title="actions")
    add = _add_command(
        actions,
        "add",
        "cli.user:add",
        "create an account",
        "Create an account by the rules of the sign-up, and print its id. Ask for the password twice,"
        " or read one line if standard input is not a terminal. Only for a server with its own"
        " accounts.",
    )
    add.add_argument("email", type=_parse_text, metavar="EMAIL", help="the email of the account")
    set_password = _add_command(
        actions,
        "set-password",
        "cli.user:set_password",
        "set the password of an account",
        "Set the password of an account by the rules of the sign-up, and end all of its sessions. Ask for the"
        " password twice, or read one line if standard input is not a terminal. Access tokens stay valid"
        " until they expire, for 15 minutes at most.",
    )
    set_password.add_argument("user", type=_parse_text, metavar="USER", help=USER)
    remove = _add_command(
        actions,
        "remove",
        "cli.user:remove",
        "remove a user with all data",
        "Remove the stored responses, the tasks and the account of a user. The server may run"
        " meanwhile, and an interrupted removal can be repeated. Tokens stay valid until they expire:"
        " a user of an outside issuer returns, without tasks, with their next write. A row in another"
        " program's table users is not removed.",
    )
    remove.add_argument("user", type=_parse_text, metavar="USER", help=USER)
    remove.add_argument("--yes", action="store_true", help="do not ask (required without a terminal)")


def _add_export(commands: Any) -> None:
    export = _add_command(
        commands,
        "export",
        "cli.export:run",
        "write a user's data as JSON Lines",
        "Write a user's data as JSON Lines: the user, then a line for each task as the API returns"
        " it, oldest first. A task that exists during the whole export is written exactly once, as it"
        " was before or after a change.",
    )
    export.add_argument("user", type=_parse_text, metavar="USER", help=USER)
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="instead of standard output; only its owner can read it"
    )
    export.add_argument("--force", action="store_true", help="overwrite FILE")


def _add_import(commands: Any) -> None:
    importing = _add_command(
        commands,
        "import",
        "cli.import_:run",
        "store tasks from JSON Lines",
        "Store tasks from lines as `todo export` writes them: title and, if present, description,"
        " completed, created_at and updated_at. Other members are ignored, and ids are new. All lines"
        " are checked first: one bad line, and nothing is stored. An interrupted import continues when"
        " the same file is imported again within a day.",
    )
    importing.add_argument("user", type=_parse_text, metavar="USER", help=USER)
    importing.add_argument("file", type=Path, nargs="?", metavar="FILE", help="instead of standard input")
    importing.add_argument(
        "--add", action="store_true", help="even if the user has tasks already (before USER)"
    )
