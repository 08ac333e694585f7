"""The pages of deploy/ agree with the settings and the timeouts of the server."""

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from persistence import expiry, postgresql, postgresql_pool
from persistence.database import parse_url
from server.run import KEEP_ALIVE_S
from settings import Settings
from tests.ecosystem.deployment.pages import DEPLOY, blocks, settings_of
from tests.support import programs
from tests.support.server import ROOT

PAGES = sorted(page.name for page in DEPLOY.glob("*.md"))
ENDS_WITHIN_S = 8


def text_of(page: str) -> str:
    return (DEPLOY / page).read_text(encoding="utf-8")


def test_links_between_the_pages_lead_to_files():
    for page in PAGES:
        links = re.findall(r"\]\((?!http)([^)]+)\)", text_of(page))
        assert [link for link in links if not (DEPLOY / link).exists()] == [], page
        assert page == "README.md" or page in text_of("README.md")


@pytest.mark.parametrize("page", ["nginx.md", "neon.md"])
def test_settings_of_the_page_are_valid(page: str):
    given = settings_of(page)
    parse_url(Settings.from_environment(given).database_url)
    assert {*given} <= {name.upper() for name in Settings.__dataclass_fields__}


def test_server_behind_nginx_trusts_nginx_alone():
    settings = Settings.from_environment(settings_of("nginx.md"))
    assert (settings.host, settings.trusted_proxies) == ("127.0.0.1", ("127.0.0.1",))
    assert settings.workers > 1


def test_nginx_closes_idle_connections_first_and_waits_longer_than_the_server():
    directives = dict(
        line.strip().rstrip(";").split(maxsplit=1)
        for line in text_of("nginx.conf").splitlines()
        if line.endswith("s;")
    )
    assert int(directives["keepalive_timeout"].rstrip("s")) < KEEP_ALIVE_S
    longest_s = Settings.body_timeout + postgresql.TIMEOUT_S
    assert int(directives["proxy_read_timeout"].rstrip("s")) > longest_s


def test_systemd_unit_is_valid_hardened_and_leaves_time_to_stop(tmp_path: Path):
    text = text_of("todo.service")
    unit = ConfigParser(strict=False)  # SystemCallFilter is set twice
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert service["ExecStart"].split()[-3:] == ["-m", "cli", "serve"]
    assert service["KillMode"] == "mixed"
    assert ENDS_WITHIN_S < int(service["TimeoutStopSec"]) < 60
    database_url = f"sqlite:////var/lib/{service['StateDirectory']}/todo.db"
    assert settings_of("nginx.md")["DATABASE_URL"] == database_url
    if program := shutil.which("systemd-analyze"):
        file = tmp_path / "todo.service"
        file.write_text(text.replace(service["ExecStart"].split()[0], sys.executable))
        command = [program, "verify", file]
        checked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert "todo.service" not in checked.stderr
        command = [program, "security", "--offline=true", "--threshold=20", file]  # tenths
        assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def test_production_installs_only_what_the_server_needs_with_bytecode(tmp_path: Path):
    assert "make -C /opt/todo-backend production" in blocks("nginx.md", "sh")[1]
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in names.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    uv = programs.find_uv()
    command = ["make", "production", f"PYTHON={sys.executable}", *([f"UV={uv}"] if uv else [])]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    [packages] = tmp_path.glob(".venv/lib/python*/site-packages")
    assert not (packages / "pytest").exists()
    for package in (packages / "connexion", tmp_path / "cli", tmp_path / "persistence"):
        assert [*package.glob("__pycache__/*.pyc")]


def test_password_for_compose_needs_no_escaping_in_a_url(tmp_path: Path):
    [script] = [block for block in blocks("README.md", "sh") if "openssl" in block]
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, check=True, timeout=20)
    assert re.fullmatch("POSTGRES_PASSWORD=[0-9a-f]{48}\n", (tmp_path / ".env").read_text())


def test_page_about_neon_describes_the_connection_pool():
    text = " ".join(text_of("neon.md").split())
    assert f"idle for {postgresql_pool.MAX_IDLE_S // 60} minutes" in text
    assert f"longer than {postgresql.TIMEOUT_S} s" in text
    assert expiry.SWEEP_EVERY_S == 3600  # "once an hour"
