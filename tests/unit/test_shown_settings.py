"""The settings that `todo check-config` shows: where each comes from, and never a secret."""

import pytest

from cli import show_settings
from persistence.database import parse_url
from settings import Settings

CANARY = "canary-of-the-configuration"


def line_of(name: str, **settings: str) -> str:
    [line] = [
        line for line in show_settings.format_settings(Settings(**settings)) if line.startswith(f"{name} ")
    ]
    return line


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{CANARY}@db.example.com/todo",
        f"postgresql://ada:x#{CANARY}@db.example.com/todo",
        f"postgresql://ada:x?{CANARY}@db.example.com/todo",
        f"postgresql://db.example.com/todo?password={CANARY}",
        f"postgresql://db.example.com/todo?sslpassword={CANARY}&options={CANARY}",
        f"postgresql://ada:{CANARY}@/todo?host=a:5432&host=b:5432",
    ],
)
def test_password_of_the_database_is_not_shown(url: str):
    line = line_of("DATABASE_URL", database_url=url)
    assert CANARY not in line
    assert "set" in line


@pytest.mark.parametrize("password", [f"{CANARY}@me", f"x/{CANARY}", f"x@{CANARY}"])
def test_password_that_runs_into_the_host_is_an_error_without_the_password(password: str):
    with pytest.raises(ValueError, match="contains an unencoded @") as raised:
        parse_url(f"postgresql://ada:{password}@db.example.com/todo")
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("RATE_LIMIT_STORAGE", f"redis://:{CANARY}@redis.example.com:6379/0"),
        ("RATE_LIMIT_STORAGE", f"redis://ada:{CANARY}@redis.example.com/0?password={CANARY}"),
        ("RATE_LIMIT_STORAGE", f"redis://ada:1#{CANARY}@redis.example.com"),
        ("RATE_LIMIT_STORAGE", f"redis://ada:1/{CANARY}@redis.example.com"),
        ("JWKS_URL", f"https://issuer.example.com/jwks?key={CANARY}"),
        ("JWKS_URL", f"https://issuer.example.com/jwks#{CANARY}"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://ada:{CANARY}@otel.example.com"),
        ("BETTER_AUTH_SECRET", CANARY),
    ],
)
def test_secret_in_a_setting_is_not_shown(name: str, url: str):
    line = line_of(name, **{name.lower(): url})
    assert CANARY not in line
    assert "set" in line


def test_host_and_user_of_a_url_are_shown():
    database = line_of("DATABASE_URL", database_url="postgresql://ada:x@db.example.com:5433/todo")
    assert all(part in database for part in ("host=db.example.com", "port=5433", "user=ada", "dbname=todo"))
    assert "redis://ada:(set)@redis:6379/0 " in line_of(
        "RATE_LIMIT_STORAGE", rate_limit_storage="redis://ada:x@redis:6379/0"
    )
