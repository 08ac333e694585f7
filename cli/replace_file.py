"""Writes a file that appears under its name when it is complete."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.errors import CommandError


@contextmanager
def replace_file(path: Path, *, is_forced: bool) -> Iterator[Path]:
    """Yield an empty file beside `path`, for its owner only. Rename the file at the end.

    Raise CommandError if `path` is a folder, or exists and the replacement is not forced.
    """
    _check_free(path, is_forced=is_forced)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield beside
        _sync(beside)
        _check_free(path, is_forced=is_forced)
        beside.replace(path)
        _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _check_free(path: Path, *, is_forced: bool) -> None:
    if path.is_dir():
        raise CommandError(f"{path} is a folder")
    if path.exists() and not is_forced:
        raise CommandError(f"{path} exists: --force overwrites it")


def _sync(path: Path) -> None:
    """Wait until the file or the folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
