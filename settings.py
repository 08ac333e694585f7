"""The settings: the environment, read once. No other module reads the environment."""

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from dotenv import dotenv_values

from setting_parsers import (
    make_integer_parser,
    parse_addresses,
    parse_database_url,
    parse_endpoint,
    parse_jwks_url,
    parse_log_level,
    parse_origin,
    parse_origins,
    parse_rate,
    parse_rate_limit_storage,
    parse_secret,
    parse_switch,
)


class SettingsError(Exception):
    """Wrong settings: one line for each, with its name and without its value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings: type, parser, default. Each is read from the variable of the same name in capitals."""

    database_url: Annotated[str, parse_database_url] = "sqlite:///todo.db"
    run_migrations: Annotated[bool, parse_switch] = True
    jwks_url: Annotated[str | None, parse_jwks_url] = None
    jwt_issuer: Annotated[str | None, str] = None
    jwt_audience: Annotated[str | None, str] = None
    better_auth_secret: Annotated[str | None, parse_secret] = None
    better_auth_secret_previous: Annotated[str | None, parse_secret] = None
    cors_origins: Annotated[tuple[str, ...], parse_origins] = (
        "http://localhost:3000",  # Next.js
        "http://localhost:5173",  # Vite
    )
    host: Annotated[str, str] = "127.0.0.1"
    port: Annotated[int, make_integer_parser(1, 65535)] = 8000
    public_url: Annotated[str, parse_origin] = "http://127.0.0.1:8000"
    workers: Annotated[int, make_integer_parser(1, 64)] = 1
    rate_limit: Annotated[bool, parse_switch] = True
    rate_limit_login: Annotated[str, parse_rate] = "10/minute"
    rate_limit_signup: Annotated[str, parse_rate] = "20/hour"
    rate_limit_api: Annotated[str, parse_rate] = "1200/minute"
    rate_limit_storage: Annotated[str, parse_rate_limit_storage] = "memory"
    max_body_bytes: Annotated[int, make_integer_parser(1024, 16 * 1024 * 1024)] = 65536
    max_tasks_per_user: Annotated[int, make_integer_parser(1, 1_000_000_000)] = 100_000
    database_pool_size: Annotated[int, make_integer_parser(1, 1000)] = 10
    max_connections: Annotated[int, make_integer_parser(1, 100_000)] = 1000
    header_timeout: Annotated[int, make_integer_parser(1, 600)] = 10
    body_timeout: Annotated[int, make_integer_parser(1, 600)] = 10
    trusted_proxies: Annotated[tuple[str, ...], parse_addresses] = ()
    log_level: Annotated[str, parse_log_level] = "INFO"
    no_color: Annotated[bool, bool] = False
    otel_exporter_otlp_endpoint: Annotated[str | None, parse_endpoint] = None

    @property
    def has_outside_issuer(self) -> bool:
        """Whether an outside issuer signs the tokens and has the accounts."""
        return self.issuer != "accounts"

    def find_warnings(self) -> list[str]:
        """Return a line for each setting that is allowed, but probably wrong."""
        return [
            f"{name.upper()} has a path or a slash at its end, which Better Auth's iss and aud have not"
            for name in ("jwt_issuer", "jwt_audience")
            if (text := getattr(self, name)) and "://" in text and "/" in text.partition("://")[2]
        ]

    @property
    def issuer(self) -> str:
        """Who signs the tokens: jwks, secret, or accounts for the built-in issuer."""
        return "jwks" if self.jwks_url else "secret" if self.better_auth_secret else "accounts"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `environ`, by default from `.env` and the environment, which wins.

        Raise SettingsError that names every wrong setting. An empty value means not set.
        """
        if environ is None:
            environ = _read_file() | dict(os.environ)
        hints = get_type_hints(cls, include_extras=True)
        given = {name: text for name in hints if (text := environ.get(name.upper(), "").strip())}
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name, text in given.items():
            [parse] = hints[name].__metadata__
            try:
                values[name] = parse(text)
            except ValueError as error:
                wrong.append(f"{name.upper()} {error}")
        wrong += _find_contradictions(given.keys())
        if wrong:
            raise SettingsError("\n".join(wrong))
        values.setdefault("public_url", _create_public_url(values))
        return cls(**values)


def find_source(field: str) -> str:
    """Return where the value comes from: environment, .env or default."""
    for place, values in (("environment", os.environ), (".env", _read_file())):
        if (text := values.get(field.upper())) is not None:
            return place if text.strip() else "default"
    return "default"


def _read_file() -> dict[str, str]:
    """Return the variables in .env of the working folder."""
    return {name: value for name, value in dotenv_values(Path(".env")).items() if value is not None}


def set_for_children(name: str, value: str) -> None:
    """Set a variable of the environment for the processes that this one starts."""
    os.environ[name] = value


def _create_public_url(values: Mapping[str, Any]) -> str:
    host = values.get("host", Settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{values.get('port', Settings.port)}"


def _find_contradictions(given: Set[str]) -> list[str]:
    """Return the contradictions between settings: exactly one issuer may sign the tokens."""
    if {"jwks_url", "better_auth_secret"} <= given:
        return ["JWKS_URL and BETTER_AUTH_SECRET are both set: exactly one of them may sign the tokens"]
    if "better_auth_secret_previous" in given and "better_auth_secret" not in given:
        return ["BETTER_AUTH_SECRET_PREVIOUS is set, but not BETTER_AUTH_SECRET"]
    claims = ("JWT_ISSUER", "JWT_AUDIENCE")
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
