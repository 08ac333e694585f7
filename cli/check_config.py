"""`todo check-config`: show the settings and check that they work."""

import asyncio
import socket
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable

import httpx
from limits.errors import StorageError

from app import check_assembly
from cli.errors import CommandError
from cli.open_database import find_revision
from cli.show_settings import format_settings
from contract.problems import Problem, Unavailable
from contract.validation import load_contract
from persistence import schema, sqlite_file, users
from persistence.database import Database, describe
from security.keys import FETCH_TIMEOUT_S, KeySet
from security.rate_limits import MEMORY, RateLimits
from settings import Settings

LIVE = "/health/live"
RESPONSE_TIMEOUT_S = 3  # for the program that listens on the port

Check = Callable[[Settings], Awaitable[str]]
"""Return the state in one line. Raise CommandError with the problem and its remedy."""


def run(settings: Settings, _arguments: Namespace) -> None:
    """Print all settings and checks. Exit with status 1 if a check fails."""
    print(*format_settings(settings), "", sep="\n")  # noqa: T201
    sys.exit(0 if asyncio.run(_run_checks(settings)) else 1)


async def _run_checks(settings: Settings) -> bool:
    """Run every check, and return whether all succeed."""
    checks: dict[str, Check] = {
        "contract": _check_contract,
        "database": _check_database,
        "keys": _check_keys,
        "rate limits": _check_rate_limits,
        "port": _check_port,
    }
    for warning in settings.find_warnings():
        print(f"{'WARN':<6} {'settings':<12} {warning}")  # noqa: T201
    return False not in [await _run_check(name, check, settings) for name, check in checks.items()]


async def _run_check(name: str, check: Check, settings: Settings) -> bool:
    """Run a check, print its line, and return whether it succeeds."""
    try:
        state, text = "ok", await check(settings)
    except CommandError as error:
        state, text = "WRONG", str(error)
    print(f"{state:<6} {name:<12} {text}", flush=True)  # noqa: T201
    return state == "ok"


async def _check_contract(settings: Settings) -> str:
    """Assemble the app. Raise CommandError if an operation has no matching handler."""
    try:
        await check_assembly(settings)
    except Exception as error:
        raise CommandError(f"cannot be served: {type(error).__name__}: {_flatten(error)}") from error
    operations = [
        found for path in load_contract()["paths"].values() for found in path if found != "parameters"
    ]
    return (
        f"version {load_contract()['info']['version']}, {len(operations)} operations, each with its handler"
    )


async def _check_database(settings: Settings) -> str:
    database = Database(settings.database_url)
    where = describe(database.target)
    try:
        return f"{where}: {await _check_schema(database, settings)}"
    except Unavailable as error:
        why = _flatten(error.__cause__) if error.__cause__ else error.detail
        raise CommandError(f"{where}: {why}. Is DATABASE_URL right, and is the database up?") from None
    finally:
        await database.close()


async def _check_schema(database: Database, settings: Settings) -> str:
    """Return the state of the schema. Raise CommandError if it is older and the server will not migrate."""
    if database.target.is_sqlite:
        _check_file(database.target.name)
    found, newest = await find_revision(database), schema.get_newest()
    if found is None or schema.is_older(found):
        if not settings.run_migrations:
            raise CommandError(f"{_describe_revision(found)}, and RUN_MIGRATIONS is off: run `todo migrate`")
        return f"{_describe_revision(found)}; the server updates it to {newest} at its start"
    if not (settings.has_outside_issuer or await users.is_own_table(database)):
        raise CommandError(
            "the table users is another program's: set JWKS_URL or BETTER_AUTH_SECRET for its tokens"
        )
    if found != newest:
        return f"its schema is {found}, newer than {newest}, which this version needs: that works"
    return f"its schema is {found}, the newest"


def _describe_revision(found: str | None) -> str:
    return "it has no tables" if found is None else f"its schema is {found}"


def _check_file(path: str) -> None:
    """Raise CommandError unless SQLite can write the file, or create it."""
    if problem := sqlite_file.describe_problem(path):
        raise CommandError(f"{problem}: create the folder, or give this user the right to write there")


async def _check_keys(settings: Settings) -> str:
    if settings.better_auth_secret:
        return "a shared secret, long enough"
    if not settings.jwks_url:
        return "this server's own"
    try:
        keys = await KeySet(settings.jwks_url).fetch()
    except TimeoutError:
        raise CommandError(
            f"JWKS_URL does not answer within {FETCH_TIMEOUT_S} s: is the issuer up?"
        ) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise CommandError(f"JWKS_URL: {_flatten(error)}: is the URL right, and is the issuer up?") from None
    except Problem:
        raise CommandError("JWKS_URL: the content is not JSON: is the URL right?") from None
    if not keys:
        raise CommandError("JWKS_URL: no key can verify a token (EdDSA, ES256, RS256, PS256 with a kid)")
    return f"{len(keys)} at JWKS_URL, fit to verify tokens"


async def _check_rate_limits(settings: Settings) -> str:
    if not settings.rate_limit:
        return "off"
    if settings.rate_limit_storage == MEMORY:
        return "counted by each process for itself"
    try:
        await RateLimits({}, settings.rate_limit_storage).check_storage()
    except StorageError as error:
        raise CommandError(
            f"RATE_LIMIT_STORAGE: {_flatten(error.storage_error)}: each process would count"
        ) from None
    except (TimeoutError, OSError):
        raise CommandError(
            "RATE_LIMIT_STORAGE does not answer: each process would count for itself"
        ) from None
    return "RATE_LIMIT_STORAGE answers"


async def _check_port(settings: Settings) -> str:
    """Check that the port is free or used by another process of this server."""
    if (error := _find_listen_error(settings.host, settings.port)) is None:
        return "free"
    if await _is_own_server(settings):
        return "a server of this kind listens there already"
    raise CommandError(f"HOST and PORT: {error}: stop the other program, or set another port")


def _find_listen_error(host: str, port: int) -> str | None:
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            listening.bind(address)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


async def _is_own_server(settings: Settings) -> bool:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=RESPONSE_TIMEOUT_S) as client:
            response = await client.get(f"http://{host}:{settings.port}{LIVE}")
        return bool(response.json() == {"status": "live"})
    except (httpx.HTTPError, ValueError):
        return False


def _flatten(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
