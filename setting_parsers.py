"""The parsers of the settings. Each raises ValueError that says what is accepted, without the value."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MIN_SECRET_BYTES = 32  # RFC 7518 3.2: an HS256 key is at least as long as the hash
WELL_KNOWN_SECRETS = frozenset({"better-auth-secret-12345678901234567890"})  # Better Auth's default
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_RATE = re.compile(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,2} )?(second|minute|hour|day)s?")


def make_integer_parser(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a parser for whole numbers from `lowest` to `highest`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and lowest <= int(text) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def parse_database_url(text: str) -> str:
    """Accept a SQLite file or a PostgreSQL URL."""
    scheme = text.partition("://")[0]
    if scheme not in {"sqlite", "postgres", "postgresql"}:
        raise ValueError("must begin with sqlite:///, postgres:// or postgresql://")
    if scheme == "sqlite" and (
        not text.startswith("sqlite:///") or text == "sqlite:///" or ":memory:" in text
    ):
        raise ValueError(
            "must name a file, like sqlite:///todo.db: one in memory is gone with its connection"
        )
    return text


def _split_url(text: str, wanted: str) -> SplitResult:
    """Return the parts of an http or https URL. Raise ValueError with `wanted` and without the value."""
    try:
        parts = urlsplit(text)
        is_usable = (
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and text.isascii()
        )
    except ValueError:  # urlsplit repeats the value in its error
        is_usable = False
    if not is_usable or parts.username is not None or "#" in text:
        raise ValueError(wanted)
    return parts


def parse_origin(text: str) -> str:
    """Return an origin as browsers send it: lower case, no default port, no path (RFC 6454 6.1)."""
    wanted = "must be like https://app.example.com, without a path"
    parts = _split_url(text.rstrip("/"), wanted)
    if parts.path or "?" in text:
        raise ValueError(wanted)
    own_port = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(own_port)}"


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a list with commas."""
    if "*" in text:
        raise ValueError("must list origins: browsers refuse * together with credentials")
    return tuple(parse_origin(part.strip()) for part in text.split(",") if part.strip())


def parse_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses and networks of a list with commas."""
    addresses = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        for address in addresses:
            ip_network(address)
    except ValueError:
        raise ValueError("must list IP addresses or networks, such as 10.0.0.0/8; never *") from None
    return addresses


def parse_jwks_url(text: str) -> str:
    """Accept https, and http for this machine."""
    wanted = "must be an https URL (http is taken for localhost only)"
    parts = _split_url(text, wanted)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(wanted)
    return text


def parse_endpoint(text: str) -> str:
    """Accept an http or https URL without a query."""
    wanted = "must be an http or https URL, like http://localhost:4318"
    if "?" in text:
        raise ValueError(wanted)
    _split_url(text, wanted)
    return text


def parse_secret(text: str) -> str:
    """Accept a secret that cannot be guessed."""
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes: shorter ones can be guessed offline")
    if text in WELL_KNOWN_SECRETS:
        raise ValueError("is the one from Better Auth's documentation, which everyone knows")
    if len(set(text)) < 8:  # 8: even a hexadecimal secret of 32 random bytes has more
        raise ValueError("is too regular to be a secret: make one with `openssl rand -base64 32`")
    return text


def parse_switch(text: str) -> bool:
    """Return True for on, False for off."""
    if text.lower() not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text.lower() == "on"


def parse_rate(text: str) -> str:
    """Accept a rate like `10/minute`."""
    if not _RATE.fullmatch(text):
        raise ValueError("must be like 10/minute or 5/2 seconds, in seconds, minutes, hours or days")
    return text


def parse_rate_limit_storage(text: str) -> str:
    """Accept `memory` or the URL of a Redis."""
    if text == "memory":
        return text
    wanted = "must be memory, or a URL like redis://host:6379/0 (rediss:// with TLS)"
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:  # urlsplit repeats the value in its error
        is_usable = False
    if not is_usable or not re.fullmatch("/?[0-9]{0,4}", parts.path):
        raise ValueError(wanted)
    return text


def parse_log_level(text: str) -> str:
    """Return the level in capitals."""
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.upper()
