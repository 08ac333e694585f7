"""`python -m cli`: run a command and end with its status."""

import gc
import os
import signal

gc.disable()  # during the imports, because their objects stay: a tenth of the startup
# Before the other imports, which take up to 1 s: process 1 of a container ignores SIGTERM by default.
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))

import logging
import sys
import traceback
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

from cli.arguments import create_parser
from cli.errors import CommandError
from contract.problems import Problem, Unavailable
from settings import Settings, SettingsError

ROOT = Path(__file__).parent.parent
INTERRUPTED, CLOSED_PIPE = 130, 141  # 128 + the number of SIGINT or SIGPIPE, as in a shell


def main() -> None:
    """Run the command named on the command line.

    End with 0, 1 if the command failed, 2 if it was called wrongly, 130 after Ctrl-C.
    """
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> None:
    """Run the command. Print an error in one line, without values."""
    arguments = create_parser().parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # only serve and migrate configure logging
    try:
        settings = _read_settings()
        run = resolve_name(arguments.command)
        gc.freeze()
        gc.enable()
        run(settings, arguments)
    except CommandError as error:
        _exit(str(error), error.status)
    except Unavailable:
        _exit("DATABASE_URL: the database cannot be reached, or is busy; `todo check-config` says more")
    except Problem as problem:
        _exit(problem.detail)
    except BrokenPipeError:
        raise
    except OSError as error:
        _exit(f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}")
    except Exception as error:
        _exit(_describe_error(error))


def _read_settings() -> Settings:
    """Read the settings. Raise CommandError that names every wrong setting."""
    # Imported late: it takes 0.4 s, which `--help` does not need.
    from persistence.database import parse_url  # noqa: PLC0415

    try:
        settings = Settings.from_environment()
        parse_url(settings.database_url)
    except SettingsError as error:
        raise CommandError("\n  ".join(("these settings are wrong:", *str(error).splitlines()))) from None
    except ValueError as error:
        raise CommandError(f"DATABASE_URL {error}") from None
    return settings


def _describe_error(error: Exception) -> str:
    """Describe an unexpected error: its type, and the last line of this program in its traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own_file(frame.filename)]
    place = f"{Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].lineno}"
    return f"an error of this program: {type(error).__name__} at {place}"


def _is_own_file(file: str) -> bool:
    return Path(file).is_relative_to(ROOT) and ".venv" not in Path(file).parts


def _exit(why: str, status: int = 1) -> NoReturn:
    print(f"todo: {why}", file=sys.stderr)  # noqa: T201
    sys.exit(status)


if __name__ == "__main__":
    main()
