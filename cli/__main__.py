"""`python -m cli`: run a command and end with its status."""

import os
import signal

if __name__ == "__main__":  # the imports below take up to a second, and process 1 ignores SIGTERM by default
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))

import logging
import sys
import traceback
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

from cli.arguments import parser
from cli.errors import CommandError
from contract.problems import Problem, Unavailable
from settings import Settings, SettingsError

ROOT = Path(__file__).parent.parent
INTERRUPTED, CLOSED_PIPE = 130, 141  # as if by SIGINT and SIGPIPE: what a shell makes of them


def main() -> None:
    """Run the command named on the command line.

    End with 0, 1 if the command failed, 2 if it was called wrongly, 130 after Ctrl-C.
    """
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads it has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> None:
    """Run the command. Print an error in one line, without values."""
    arguments = parser().parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # serve and migrate have logs, the others say it
    try:
        settings = _settings()
        resolve_name(arguments.command)(settings, arguments)
    except CommandError as error:
        _end(str(error), error.status)
    except Unavailable:
        _end("DATABASE_URL: the database cannot be reached, or is busy; `todo check-config` says more")
    except Problem as problem:
        _end(problem.detail)
    except BrokenPipeError:
        raise
    except OSError as error:
        _end(f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}")
    except Exception as error:
        _end(_where(error))


def _settings() -> Settings:
    """Raise CommandError that names every setting which is wrong."""
    # 0.4 s that nobody needs who asks for help.
    from persistence.database import parse  # noqa: PLC0415

    try:
        settings = Settings.from_environment()
        parse(settings.database_url)
    except SettingsError as error:
        raise CommandError("\n  ".join(("these settings are wrong:", *str(error).splitlines()))) from None
    except ValueError as error:
        raise CommandError(f"DATABASE_URL {error}") from None
    return settings


def _where(error: Exception) -> str:
    """Describe an unexpected error: its type, and the last line of this program in its traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    place = f"{Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].lineno}"
    return f"a fault of this program: {type(error).__name__} at {place}"


def _is_own(file: str) -> bool:
    return Path(file).is_relative_to(ROOT) and ".venv" not in Path(file).parts


def _end(why: str, status: int = 1) -> NoReturn:
    print(f"todo: {why}", file=sys.stderr)  # noqa: T201 - what a command line is for
    sys.exit(status)


if __name__ == "__main__":
    main()
