"""The settings: the environment, read once. No other module reads the environment."""

import os
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MIN_SECRET_BYTES = 32  # RFC 7518 3.2: an HS256 key is at least as long as the hash
WELL_KNOWN_SECRETS = frozenset({"better-auth-secret-12345678901234567890"})  # Better Auth's default
_RATE = re.compile(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,2} )?(second|minute|hour|day)s?")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SettingsError(Exception):
    """Wrong settings: one line for each, with its name and without its value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Each field is read from the variable of the same name in capitals."""

    database_url: str = "sqlite:///todo.db"
    run_migrations: bool = True
    jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    better_auth_secret: str | None = None
    cors_origins: tuple[str, ...] = ("http://localhost:3000",)
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = "http://127.0.0.1:8000"
    workers: int = 1
    rate_limit: bool = True
    rate_limit_login: str = "10/minute"
    rate_limit_signup: str = "20/hour"
    rate_limit_api: str = "1200/minute"
    rate_limit_storage: str = "memory"
    max_body_bytes: int = 65536
    max_connections: int = 1000
    header_timeout: int = 10
    body_timeout: int = 10
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "INFO"
    no_color: bool = False
    otel_exporter_otlp_endpoint: str | None = None

    @property
    def has_outside_issuer(self) -> bool:
        """Whether an outside issuer signs the tokens and has the accounts."""
        return bool(self.jwks_url or self.better_auth_secret)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `environ`, by default from `.env` and the environment, which wins.

        Raise SettingsError that names every wrong setting. An empty value means not set.
        """
        if environ is None:
            environ = _file() | dict(os.environ)
        given = {
            field.name: text for field in fields(cls) if (text := environ.get(field.name.upper(), "").strip())
        }
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name, text in given.items():
            try:
                values[name] = _PARSERS.get(name, str)(text)
            except ValueError as error:
                wrong.append(f"{name.upper()} {error}")
        wrong += _contradictions(given.keys())
        if wrong:
            raise SettingsError("\n".join(wrong))
        values.setdefault("public_url", _default_public_url(values))
        return cls(**values)


def source(field: str) -> str:
    """Return where the value comes from: environment, .env or default."""
    for place, values in (("environment", os.environ), (".env", _file())):
        if (text := values.get(field.upper())) is not None:
            return place if text.strip() else "default"
    return "default"


def _file() -> dict[str, str]:
    """Return the variables in .env of the working folder."""
    return {name: value for name, value in dotenv_values(Path(".env")).items() if value is not None}


def hand_down(name: str, value: str) -> None:
    """Set a variable of the environment for the processes that this one starts."""
    os.environ[name] = value


def _default_public_url(values: Mapping[str, Any]) -> str:
    host = values.get("host", Settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{values.get('port', Settings.port)}"


def _contradictions(given: Set[str]) -> list[str]:
    """Return the contradictions between settings: exactly one issuer may sign the tokens."""
    claims = ("JWT_ISSUER", "JWT_AUDIENCE")
    if {"jwks_url", "better_auth_secret"} <= given:
        return ["JWKS_URL and BETTER_AUTH_SECRET are both set: exactly one of them may sign the tokens"]
    if "jwks_url" in given:
        return [
            f"{name} must be set beside JWKS_URL: or a token meant for another server would open this one"
            for name in claims
            if name.lower() not in given
        ]
    if "better_auth_secret" in given:
        return []
    return [
        f"{name} is set, but neither JWKS_URL nor BETTER_AUTH_SECRET: the built-in issuer uses PUBLIC_URL"
        for name in claims
        if name.lower() in given
    ]


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and lowest <= int(text) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _database_url(text: str) -> str:
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


def _url(text: str, wanted: str) -> SplitResult:
    """Return the parts of an http or https URL. Raise ValueError with `wanted` and without the value."""
    try:
        parts = urlsplit(text)
        is_usable = (
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and text.isascii()
        )
    except ValueError:  # of urlsplit, which repeats what it was given
        is_usable = False
    if not is_usable or parts.username is not None or "#" in text:
        raise ValueError(wanted)
    return parts


def _origin(text: str) -> str:
    """Return an origin as browsers send it: lower case, no default port, no path (RFC 6454 6.1)."""
    wanted = "must be like https://app.example.com, without a path"
    parts = _url(text.rstrip("/"), wanted)
    if parts.path or "?" in text:
        raise ValueError(wanted)
    own_port = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(own_port)}"


def _origins(text: str) -> tuple[str, ...]:
    if "*" in text:
        raise ValueError("must list origins: browsers refuse * together with credentials")
    return tuple(_origin(part.strip()) for part in text.split(",") if part.strip())


def _addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        for address in addresses:
            ip_network(address)
    except ValueError:
        raise ValueError("must list IP addresses or networks, such as 10.0.0.0/8; never *") from None
    return addresses


def _jwks_url(text: str) -> str:
    wanted = "must be an https URL (http is taken for localhost only)"
    parts = _url(text, wanted)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(wanted)
    return text


def _endpoint(text: str) -> str:
    wanted = "must be an http or https URL, like http://localhost:4318"
    if "?" in text:
        raise ValueError(wanted)
    _url(text, wanted)
    return text


def _secret(text: str) -> str:
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes: shorter ones can be guessed offline")
    if text in WELL_KNOWN_SECRETS:
        raise ValueError("is the one from Better Auth's documentation, which everyone knows")
    if len(set(text)) < 8:  # 8: even a hexadecimal secret of 32 random bytes has more
        raise ValueError("is too regular to be a secret: make one with `openssl rand -base64 32`")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text.lower() == "on"


def _rate(text: str) -> str:
    if not _RATE.fullmatch(text):
        raise ValueError("must be like 10/minute or 5/2 seconds, in seconds, minutes, hours or days")
    return text


def _rate_limit_storage(text: str) -> str:
    if text == "memory":
        return text
    wanted = "must be memory, or a URL like redis://host:6379/0 (rediss:// with TLS)"
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:  # of urlsplit, which repeats what it was given
        is_usable = False
    if not is_usable or not re.fullmatch("/?[0-9]{0,4}", parts.path):
        raise ValueError(wanted)
    return text


def _log_level(text: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.upper()


_PARSERS: dict[str, Callable[[str], Any]] = {
    "database_url": _database_url,
    "jwks_url": _jwks_url,
    "better_auth_secret": _secret,
    "cors_origins": _origins,
    "port": _whole_number(1, 65535),
    "public_url": _origin,
    "workers": _whole_number(1, 64),
    "run_migrations": _switch,
    "rate_limit": _switch,
    "rate_limit_login": _rate,
    "rate_limit_signup": _rate,
    "rate_limit_api": _rate,
    "rate_limit_storage": _rate_limit_storage,
    "max_body_bytes": _whole_number(1024, 16 * 1024 * 1024),
    "max_connections": _whole_number(1, 100_000),
    "header_timeout": _whole_number(1, 600),
    "body_timeout": _whole_number(1, 600),
    "trusted_proxies": _addresses,
    "log_level": _log_level,
    "no_color": bool,
    "otel_exporter_otlp_endpoint": _endpoint,
}
