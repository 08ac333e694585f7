"""Formats the settings for the operator, without secrets."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from persistence.database import describe, parse_url
from settings import Settings, find_source

SET = "set (not shown)"
_SECRET_WORDS = ("SECRET", "PASSWORD", "TOKEN", "HEADERS", "_KEY")


def format_settings(settings: Settings) -> Iterator[str]:
    """Return a line for each setting: name, value and source."""
    for field in fields(settings):
        name = field.name.upper()
        shown = _format_value(name, getattr(settings, field.name))
        yield f"{name:<28} {shown}  ({find_source(field.name)})"


def _format_value(name: str, value: Any) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value)
    if name == "DATABASE_URL":
        return describe(parse_url(value))
    if any(word in name for word in _SECRET_WORDS):
        return SET
    return _redact_url(value) if "://" in str(value) else str(value)


def _redact_url(text: str) -> str:
    """Return a URL without user, password and query, which may contain a key."""
    parts = urlsplit(text)
    user, at, host = parts.netloc.rpartition("@")
    if "@" in text.replace(parts.netloc, "", 1):  # an unencoded @ or / in a password ends the host too early
        return SET
    user_shown = f"{user.partition(':')[0]}:(set)" if ":" in user else user
    query = "?(set)" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{user_shown}{at}{host}{parts.path}{query}"
