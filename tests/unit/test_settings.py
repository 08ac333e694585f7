"""Settings: the environment, read once, and what is said of a wrong one."""

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


def complaints(**environ: str) -> list[str]:
    """A line for each setting that is wrong."""
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(environ)
    return str(raised.value).splitlines()


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an environment in which nothing is set."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_nothing_needs_to_be_set():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.database_url == "sqlite:///todo.db"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert settings.cors_origins == ("http://localhost:3000",)
    assert settings.has_outside_issuer is False


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_value_counts_as_not_set(name: str, empty: str):
    assert Settings.from_environment({name: empty}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATABASE_URL", "postgres://ada:x@db.example.com/todo?sslmode=require", ...),
        ("DATABASE_URL", "postgresql://ada:x@db.example.com/todo", ...),
        ("DATABASE_URL", "sqlite:////var/lib/todo.db", ...),
        ("BETTER_AUTH_SECRET", SECRET, ...),
        ("BETTER_AUTH_SECRET", "é1ü2ñ3ø4å5ß6ç7þ8ð9æ0÷", ...),  # counted in bytes
        ("CORS_ORIGINS", "https://a.example", ("https://a.example",)),
        (
            "CORS_ORIGINS",
            "https://a.example/, http://b.example:3000 ,",
            ("https://a.example", "http://b.example:3000"),
        ),
        ("HOST", "0.0.0.0", ...),
        ("PORT", "1", 1),
        ("PORT", " 65535 ", 65535),
        ("PUBLIC_URL", "https://todo.example.com/", "https://todo.example.com"),
        ("WORKERS", "64", 64),
        ("MAX_BODY_BYTES", "1024", 1024),
        ("LOG_LEVEL", "debug", "DEBUG"),
    ],
)
def test_value_is_read(name: str, text: str, value: object):
    assert getattr(Settings.from_environment({name: text}), name.lower()) == (text if value is ... else value)


@pytest.mark.parametrize("origin", ["https://App.Example.com:443", "HTTPS://app.example.com/"])
def test_origin_is_taken_as_browsers_spell_it(origin: str):
    assert Settings.from_environment({"CORS_ORIGINS": origin}).cors_origins == ("https://app.example.com",)


def test_public_url_of_an_ipv6_host_is_a_url():
    assert Settings.from_environment({"HOST": "::1"}).public_url == "http://[::1]:8000"


def test_public_url_follows_host_and_port():
    settings = Settings.from_environment({"HOST": "localhost", "PORT": "8080"})
    assert settings.public_url == "http://localhost:8080"


@pytest.mark.parametrize(
    ("name", "default", "other"),
    [
        ("RATE_LIMIT", "on", "off"),
        ("RATE_LIMIT_LOGIN", "10/minute", "10/hour"),
        ("RATE_LIMIT_SIGNUP", "20/hour", "21/hour"),
        ("RATE_LIMIT_API", "1200/minute", "1200/second"),
        ("RATE_LIMIT_API", "1200/minute", "1200/2 minutes"),
        ("RATE_LIMIT_API", "1200/minute", "1/day"),
        ("RATE_LIMIT_STORAGE", "memory", "redis://127.0.0.1:6379/0"),
        ("RATE_LIMIT_STORAGE", "memory", "rediss://ada:canary@redis.example.com:6380/1"),
    ],
)
def test_limits_have_defaults_that_can_be_set_otherwise(name: str, default: str, other: str):
    assert Settings.from_environment({name: default}) == Settings()
    assert Settings.from_environment({name: other}) != Settings()


WRONG_LIMITS = [
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
    "HEADER_TIMEOUT": ["-1", "601", "canary", "1.5"],
    "BODY_TIMEOUT": ["-1", "601", "canary"],
    "TRUSTED_PROXIES": ["canary", "10.0.0.1, *", "10.0.0.0/33", "proxy.canary.example"],
    "WORKERS": ["0", "65", "canary"],
    "MAX_BODY_BYTES": ["-5", "1023", "16777217", "64K"],
    "LOG_LEVEL": ["canary", "TRACE", "20"],
    "RATE_LIMIT": ["canary", "true", "1"],
    "RATE_LIMIT_LOGIN": WRONG_LIMITS,
    "RATE_LIMIT_SIGNUP": WRONG_LIMITS,
    "RATE_LIMIT_API": WRONG_LIMITS,
    "RATE_LIMIT_STORAGE": [
        "canary", "redis:///0", "redis:canary", "http://canary:6379/0", "memcached://canary:11211",
        "redis://:canary@/0", "redis://ada:canary@localhost:99999/0", "redis://localhost:canary/0",
        "redis://:canary@localhost:6379/first", "memory://canary",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_wrong_value_is_refused_by_name_and_not_repeated(name: str, text: str):
    [complaint] = complaints(**{name: text})
    assert complaint.startswith(f"{name} ")
    assert text not in complaint
    assert "canary" not in complaint


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///"])
def test_database_is_not_in_memory(url: str):
    [complaint] = complaints(DATABASE_URL=url)
    assert complaint.startswith("DATABASE_URL must name a file")


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example.com/jwks",
        "http://10.0.0.1/jwks",
        "file:///jwks",
        "/jwks",
        "https://",
        "http://localhost:99999/x",
    ],
)
def test_keys_are_fetched_over_https(url: str):
    complaint, *_ = complaints(**JWKS | {"JWKS_URL": url})
    assert complaint.startswith("JWKS_URL ")
    assert url not in complaint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_keys_may_come_from_this_machine_over_http(host: str):
    url = f"http://{host}:3000/api/auth/jwks"
    assert Settings.from_environment(JWKS | {"JWKS_URL": url}).jwks_url == url


def test_keys_elsewhere_with_issuer_and_audience_are_an_outside_issuer():
    assert Settings.from_environment(JWKS).has_outside_issuer is True


@pytest.mark.parametrize("missing", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_keys_elsewhere_need_issuer_and_audience(missing: str):
    [complaint] = complaints(**JWKS | {missing: ""})
    assert complaint.startswith(f"{missing} ")


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_built_in_issuer_takes_no_issuer_or_audience(name: str):
    [complaint] = complaints(**{name: "https://canary.example"})
    assert complaint.startswith(f"{name} ")
    assert "canary" not in complaint


def test_shared_secret_may_stand_alone_or_beside_issuer_and_audience():
    alone = Settings.from_environment({"BETTER_AUTH_SECRET": SECRET})
    assert (alone.jwt_issuer, alone.jwt_audience) == (None, None)
    beside = Settings.from_environment(JWKS | {"JWKS_URL": "", "BETTER_AUTH_SECRET": SECRET})
    assert (beside.jwt_issuer, beside.jwt_audience) == (JWKS["JWT_ISSUER"], JWKS["JWT_AUDIENCE"])


def test_two_issuers_are_refused():
    [complaint] = complaints(**JWKS, BETTER_AUTH_SECRET=SECRET)
    assert "JWKS_URL" in complaint
    assert "BETTER_AUTH_SECRET" in complaint


def test_every_wrong_setting_is_named_at_once():
    named = [line.split()[0] for line in complaints(PORT="x", WORKERS="x", LOG_LEVEL="x", JWT_ISSUER="x")]
    assert sorted(named) == ["JWT_ISSUER", "LOG_LEVEL", "PORT", "WORKERS"]


def test_dotenv_of_the_working_folder_is_read(working_folder: Path):
    (working_folder / ".env").write_text("PORT=8123\nWORKERS='2'  # two\n", encoding="utf-8")
    settings = Settings.from_environment()
    assert (settings.port, settings.workers) == (8123, 2)


def test_environment_wins_over_dotenv(working_folder: Path, monkeypatch: pytest.MonkeyPatch):
    (working_folder / ".env").write_text("PORT=8123\nWORKERS=2\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "8456")
    settings = Settings.from_environment()
    assert (settings.port, settings.workers) == (8456, 2)


def test_dotenv_may_be_missing(working_folder: Path):
    assert Settings.from_environment() == Settings()


def test_env_example_names_every_setting():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)) == sorted(NAMES)
