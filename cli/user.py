"""`todo user add`, `todo user set-password` and `todo user remove`."""

import asyncio
import getpass
import sys
from argparse import Namespace
from datetime import UTC, datetime
from typing import NamedTuple

from cli.errors import CommandError, WrongUsage
from cli.open_database import open_database
from cli.progress import run_with_pause, show_progress
from contract.problems import OutsideIssuer
from contract.validation import create_validator
from persistence import removals, tasks, users
from persistence.database import Database
from security import accounts
from security.passwords import Passwords
from settings import Settings

ACCOUNTS_ELSEWHERE = "the table users belongs to another program: add and remove users there"


async def get_user_id(db: Database, name: str) -> str:
    """Return the id of the user with this id or, among the accounts, this email. Raise CommandError."""
    user_id = await users.find_id(db, name, email=accounts.normalize_email(name))
    if user_id is None:
        raise CommandError("there is no such user")
    return user_id


def add(settings: Settings, arguments: Namespace) -> None:
    """Create an account and print its id."""
    if settings.has_outside_issuer:
        raise CommandError(OutsideIssuer.detail)
    _check("Email", arguments.email)
    password = _read_password()
    _check("UserInput", {"email": arguments.email, "password": password})
    print(asyncio.run(_add(settings, arguments.email, password)))  # noqa: T201


def _check(schema: str, value: object) -> None:
    """Raise CommandError unless the contract accepts the value."""
    if violations := create_validator(schema).find_violations(value):
        raise CommandError(violations[0]["detail"])


def _read_password() -> str:
    """Ask for the password twice, or read the first line of standard input."""
    try:
        if not sys.stdin.isatty():
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        password = getpass.getpass("Password: ")
        if getpass.getpass("The same again: ") != password:
            raise CommandError("the passwords differ")
    except UnicodeDecodeError:
        raise CommandError("the password is not UTF-8") from None
    return password


async def _add(settings: Settings, email: str, password: str) -> str:
    passwords = Passwords()
    async with open_database(settings) as db:
        if not await users.is_own_table(db):
            raise CommandError(ACCOUNTS_ELSEWHERE)
        row = await accounts.create(db, passwords, email=email, password=password, now=datetime.now(UTC))
    passwords.close()
    return row.id


def set_password(settings: Settings, arguments: Namespace) -> None:
    """Set the password of an account, and end its sessions."""
    if settings.has_outside_issuer:
        raise CommandError(OutsideIssuer.detail)
    password = _read_password()
    _check("NewPassword", password)
    asyncio.run(_set_password(settings, arguments.user, password))


async def _set_password(settings: Settings, name: str, password: str) -> None:
    passwords = Passwords()
    async with open_database(settings) as db:
        if not await users.is_own_table(db):
            raise CommandError(ACCOUNTS_ELSEWHERE)
        await accounts.set_password(db, passwords, await get_user_id(db, name), password)
    passwords.close()


class _FoundUser(NamedTuple):
    """A user to be removed."""

    id: str
    tasks: int


def remove(settings: Settings, arguments: Namespace) -> None:
    """Remove a user with all data, after a confirmation."""
    if not (arguments.yes or sys.stdin.isatty()):
        raise WrongUsage("there is no terminal for the confirmation: add --yes")
    found = asyncio.run(_find_user(settings, arguments.user))
    if not arguments.yes:
        _confirm(f"Remove {found.id} with {_format_tasks(found.tasks)}?")
    print(asyncio.run(_remove(settings, found)))  # noqa: T201


def _confirm(question: str) -> None:
    """Raise CommandError unless the operator confirms."""
    print(question, "[y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing is removed")


async def _find_user(settings: Settings, name: str) -> _FoundUser:
    async with open_database(settings) as db:
        user_id = await get_user_id(db, name)
        return _FoundUser(user_id, await tasks.count(db, user_id))


async def _remove(settings: Settings, found: _FoundUser) -> str:
    """Remove the user and return what was removed.

    Remove stored responses first, because they contain tasks. Remove the user's row last: until then an
    interrupted removal can be repeated, and its foreign keys delete what was written in the meantime.
    """
    async with open_database(settings) as db:
        while await run_with_pause(removals.remove_keys(db, found.id)):
            pass
        removed = 0
        with show_progress("Removing tasks", found.tasks) as advance:
            while count := await run_with_pause(removals.remove_tasks(db, found.id)):
                removed += count
                advance(count)
        await removals.remove_import_progress(db, found.id)
        if not await users.is_own_table(db):
            return f"removed {_format_tasks(removed)} of {found.id}; {ACCOUNTS_ELSEWHERE}"
        await users.remove(db, found.id)
    return f"removed {found.id} with {_format_tasks(removed)}"


def _format_tasks(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'}"
