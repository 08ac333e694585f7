"""Settings: what the environment may hold, and what the error says about a wrong value."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from settings import Settings, SettingsError
from tests.support.server import ROOT

NAMES = {field.name.upper() for field in fields(Settings)}
SECRET = "vH3k9XqZr5Tn8WbY2mLc7PdJ4sGf6RaE"  # 32 bytes
JWKS = {
    "JWKS_URL": "https://app.example.com/api/auth/jwks",
    "JWT_ISSUER": "https://app.example.com",
    "JWT_AUDIENCE": "https://app.example.com",
}


def errors(**environ: str) -> list[str]:
    """Return one line for each wrong setting."""
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(environ)
    return str(raised.value).splitlines()


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an environment that holds no setting."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_every_setting_has_a_default():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.database_url == "sqlite:///todo.db"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert settings.cors_origins == ("http://localhost:3000", "http://localhost:5173")
    assert settings.has_outside_issuer is False


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_value_is_not_set(empty: str):
    assert [name for name in NAMES if Settings.from_environment({name: empty}) != Settings()] == []


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("CORS_ORIGINS", "https://a.example", ("https://a.example",)),
        ("CORS_ORIGINS", "https://a.example/, http://b:3000 ,", ("https://a.example", "http://b:3000")),
        ("CORS_ORIGINS", "https://App.Example.com:443", ("https://app.example.com",)),
        ("CORS_ORIGINS", "HTTPS://app.example.com/", ("https://app.example.com",)),
        ("CORS_ORIGINS", "http://a:80, http://a:443", ("http://a", "http://a:443")),
        ("PORT", "1", 1),
        ("PORT", " 65535 ", 65535),
        ("PUBLIC_URL", "https://todo.example.com/", "https://todo.example.com"),
        ("WORKERS", "64", 64),
        ("MAX_BODY_BYTES", "1024", 1024),
        ("MAX_BODY_BYTES", "16777216", 16777216),
        ("HEADER_TIMEOUT", "1", 1),
        ("BODY_TIMEOUT", "600", 600),
        ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8 ,", ("127.0.0.1", "10.0.0.0/8")),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("NO_COLOR", "1", True),
        ("RATE_LIMIT", "ON", True),
        ("RATE_LIMIT", "off", False),
    ],
)
def test_value_is_read(name: str, text: str, value: object):
    assert getattr(Settings.from_environment({name: text}), name.lower()) == value


UNCHANGED = {
    "DATABASE_URL": ["postgres://ada:x@db.example.com/todo?sslmode=require", "sqlite:////var/lib/todo.db",
        "postgresql://ada:x@db.example.com/todo",
    ],
    "BETTER_AUTH_SECRET": [SECRET, "é1ü2ñ3ø4å5ß6ç7þ8ð9æ0÷"],  # the second: 32 bytes in 21 characters
    "HOST": ["0.0.0.0"],
    "RATE_LIMIT_LOGIN": ["10/hour"],
    "RATE_LIMIT_SIGNUP": ["21/hour"],
    "RATE_LIMIT_API": ["1200/second", "1200/2 minutes", "1/day", "999999999/999 days"],
    "RATE_LIMIT_STORAGE": ["memory", "redis://127.0.0.1:6379/0", "rediss://ada:x@redis.example.com:6380/1"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["http://localhost:4318", "https://otel.example/v1"],
}  # fmt: skip


@pytest.mark.parametrize("name", UNCHANGED)
def test_value_is_used_as_it_is(name: str):
    for text in UNCHANGED[name]:
        assert getattr(Settings.from_environment({name: text}), name.lower()) == text


def test_defaults_of_the_rate_limits_are_those_that_the_readme_names():
    names = ("rate_limit", "rate_limit_login", "rate_limit_signup", "rate_limit_api", "rate_limit_storage")
    values = tuple(getattr(Settings(), name) for name in names)
    assert values == (True, "10/minute", "20/hour", "1200/minute", "memory")


@pytest.mark.parametrize(
    ("environ", "public_url"),
    [
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"HOST": "localhost", "PORT": "8080"}, "http://localhost:8080"),
    ],
)
def test_public_url_follows_host_and_port(environ: dict[str, str], public_url: str):
    assert Settings.from_environment(environ).public_url == public_url


WRONG_RATES = [
    "canary", "7", "7/", "/hour", "0/day", "-7/minute", "+7/minute", "7.5/hour", "7_0/minute", "٤/minute",
    "7/canary", "7/week", "7/month", "7/year", "7/0 seconds", "7/-2 seconds", "7/1.5 seconds",
    "7/minute;9/second", "7/minute, 9/hour", "7 per minute",
]  # fmt: skip
WRONG = {
    "DATABASE_URL": [
        "todo.db", "mysql://ada:canary@db/todo", "sqlite+pysqlite:///canary.db", "postgresql:canary",
        "sqlite:///:memory:", "sqlite://canary",
    ],
    "BETTER_AUTH_SECRET": ["canary", SECRET[1:], "canary" * 6, "0123456" * 5, "a" * 64,
        "better-auth-secret-12345678901234567890",
    ],
    "CORS_ORIGINS": [
        "canary.example", "https://a.example/canary", "https://a.example, *", "https://*.canary.example",
        "null", "ftp://canary.example", "https://ada:canary@a.example", "https://a.example?canary", "https://:443",
        "http://a:canary", "https://a.example#canary", "http://a.example?", "http://exa℀canary.com",
    ],
    "PORT": ["0", "65536", "-1", "80.5", "canary", "٨٠٨٠", "8_000", "+8123", "9" * 30],
    "PUBLIC_URL": ["canary", "https://a.example/canary", "https://ada:canary@a.example", "ws://a.example",
        "http://a:99999", "http://exa℀canary.com", "https://a.example#x",
    ],
    "HEADER_TIMEOUT": ["-1", "000", "601", "canary", "1.5"],
    "BODY_TIMEOUT": ["-1", "000", "601", "canary"],
    "TRUSTED_PROXIES": ["canary", "10.0.0.1, *", "10.0.0.0/33", "proxy.canary.example"],
    "WORKERS": ["0", "65", "canary"],
    "MAX_BODY_BYTES": ["-5", "1023", "16777217", "64K"],
    "LOG_LEVEL": ["canary", "TRACE", "20"],
    "RATE_LIMIT": ["canary", "true", "1"],
    "RATE_LIMIT_LOGIN": WRONG_RATES,
    "RATE_LIMIT_SIGNUP": WRONG_RATES,
    "RATE_LIMIT_API": WRONG_RATES,
    "RATE_LIMIT_STORAGE": [
        "canary", "redis:///0", "redis:canary", "http://canary:6379/0", "memcached://canary:11211",
        "redis://:canary@/0", "redis://ada:canary@localhost:99999/0", "redis://localhost:canary/0",
        "redis://:canary@localhost:6379/first", "memory://canary",
    ],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [
        "canary", "otel.example:4318", "ftp://canary", "http://ada:canary@otel.example:4318",
        "http://otel.example:4318?key=canary", "http://otel.example:4318#canary",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_value_is_an_error_that_names_the_setting_and_no_value(name: str):
    for text in WRONG[name]:
        [error] = errors(**{name: text})
        assert error.startswith(f"{name} ")
        assert text not in error
        assert "canary" not in error


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_database_in_memory_is_rejected_with_the_reason(url: str):
    [error] = errors(DATABASE_URL=url)
    assert error.startswith("DATABASE_URL must name a file")


NOT_HTTPS = ["http://app.example.com/jwks", "http://10.0.0.1/jwks", "file:///jwks", "/jwks", "https://",
    "http://localhost:99999/x",
]  # fmt: skip
NOT_THIS_MACHINE = [
    "http://localhost.evil.example/jwks", "http://127.0.0.1.evil/jwks", "http://127.0.0.1@evil/jwks",
    "http://localhost:80@evil.example/jwks", "http://evil.example/localhost", "http://evil.example?localhost",
    "http://evil.example#@localhost/", "http://evil.example\\@localhost/", "http://localhost\\.evil.example/",
    "http://notlocalhost/jwks", "http://localhost./jwks", "http://localhost%2eevil.example/jwks",
    "http://[::2]/jwks", "http://[::ffff:10.0.0.1]/jwks", "http://127.1/jwks", "http://127.0.0.2/jwks",
    "http://0.0.0.0/jwks", "http://2130706433/jwks", "http://0x7f000001/jwks", "http://\u217cocalhost/jwks",
]  # fmt: skip


def test_keys_are_fetched_over_https_from_every_other_machine():
    for url in (*NOT_HTTPS, *NOT_THIS_MACHINE):
        error, *_ = errors(**JWKS | {"JWKS_URL": url})
        assert error.startswith("JWKS_URL ")
        assert url not in error


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LocalHost"])
def test_keys_may_be_fetched_from_this_machine_over_http(host: str):
    url = f"http://{host}:3000/api/auth/jwks"
    assert Settings.from_environment(JWKS | {"JWKS_URL": url}).jwks_url == url


def test_jwks_url_with_issuer_and_audience_is_an_outside_issuer():
    assert Settings.from_environment(JWKS).has_outside_issuer is True


@pytest.mark.parametrize("missing", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_jwks_url_needs_issuer_and_audience(missing: str):
    [error] = errors(**JWKS | {missing: ""})
    assert error.startswith(f"{missing} ")


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_built_in_issuer_takes_no_issuer_or_audience(name: str):
    [error] = errors(**{name: "https://canary.example"})
    assert error.startswith(f"{name} ")
    assert "canary" not in error


def test_shared_secret_needs_no_issuer_and_audience():
    alone = Settings.from_environment({"BETTER_AUTH_SECRET": SECRET})
    assert (alone.has_outside_issuer, alone.jwt_issuer, alone.jwt_audience) == (True, None, None)
    both = Settings.from_environment(JWKS | {"JWKS_URL": "", "BETTER_AUTH_SECRET": SECRET})
    assert (both.jwt_issuer, both.jwt_audience) == (JWKS["JWT_ISSUER"], JWKS["JWT_AUDIENCE"])


def test_two_issuers_are_rejected():
    [error] = errors(**JWKS, BETTER_AUTH_SECRET=SECRET)
    assert "JWKS_URL" in error
    assert "BETTER_AUTH_SECRET" in error


def test_every_wrong_setting_is_named_at_once():
    named = [line.split()[0] for line in errors(PORT="x", WORKERS="x", LOG_LEVEL="x", JWT_ISSUER="x")]
    assert sorted(named) == ["JWT_ISSUER", "LOG_LEVEL", "PORT", "WORKERS"]


def test_env_file_of_the_working_folder_is_read(working_folder: Path):
    (working_folder / ".env").write_text("PORT=8123\nWORKERS='2'  # two\n", encoding="utf-8")
    settings = Settings.from_environment()
    assert (settings.port, settings.workers) == (8123, 2)


def test_environment_overrides_the_env_file(working_folder: Path, monkeypatch: pytest.MonkeyPatch):
    (working_folder / ".env").write_text("PORT=8123\nWORKERS=2\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "8456")
    settings = Settings.from_environment()
    assert (settings.port, settings.workers) == (8456, 2)


def test_env_file_is_optional(working_folder: Path):
    assert Settings.from_environment() == Settings()


def test_env_example_names_every_setting():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)) == sorted(NAMES)
