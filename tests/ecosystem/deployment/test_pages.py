"""What the pages of deploy/ say beside what other tests of this folder run."""

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from persistence import idempotency, postgresql, postgresql_pool
from persistence.database import parse
from server import GRACE_S, KEEP_ALIVE_S
from settings import Settings
from tests.ecosystem.deployment.pages import DEPLOY, blocks, dotenvs
from tests.support.contract_checks import CONTRACT

PAGES = sorted(page.name for page in DEPLOY.glob("*.md"))
ENDS_WITHIN_S = 8
SCREEN_AND_A_HALF = 90
[NGINX] = dotenvs("nginx.md")
[UNIT] = blocks("nginx.md", "ini")
[POD] = (yaml.safe_load(block) for block in blocks("README.md", "yaml"))
[CONTAINER] = POD["containers"]


def text_of(page: str) -> str:
    return (DEPLOY / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_page_is_short_and_what_it_points_to_is_there(page: str):
    text = text_of(page)
    assert len(text.splitlines()) < SCREEN_AND_A_HALF
    links = re.findall(r"\]\((?!http)([^)]+)\)", text)
    assert [link for link in links if not (DEPLOY / link).exists()] == []
    assert page == "README.md" or page in text_of("README.md")


@pytest.mark.parametrize("page", ["nginx.md", "neon.md"])
def test_settings_of_the_page_are_right(page: str):
    [given] = dotenvs(page)
    settings = Settings.from_environment(given)
    parse(settings.database_url)
    assert {*given} <= {name.upper() for name in Settings.__dataclass_fields__}


def test_settings_behind_nginx_trust_it_alone():
    settings = Settings.from_environment(NGINX)
    assert (settings.host, settings.trusted_proxies) == ("127.0.0.1", ("127.0.0.1",))
    assert settings.workers > 1


def test_nginx_lets_go_of_connections_before_the_server_does_and_waits_longer_for_answers():
    text = text_of("nginx.conf")
    kept_s, patient_s = (
        int(found) for found in re.findall(r"\b(?:keepalive_timeout|proxy_read_timeout) (\d+)s;", text)
    )
    assert kept_s < KEEP_ALIVE_S
    assert patient_s > Settings.body_timeout + postgresql.ANSWER_S


def test_systemd_takes_the_unit(tmp_path: Path):
    unit = ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    service = unit["Service"]
    assert service["ExecStart"].split()[-3:] == ["-m", "cli", "serve"]
    assert service["KillMode"] == "mixed"
    assert ENDS_WITHIN_S < int(service["TimeoutStopSec"]) < 60
    assert NGINX["DATABASE_URL"] == f"sqlite:////var/lib/{service['StateDirectory']}/todo.db"
    if (program := shutil.which("systemd-analyze")) is None:
        return
    file = tmp_path / "todo.service"
    file.write_text(UNIT.replace(service["ExecStart"].split()[0], sys.executable))
    command = [program, "verify", file]
    checked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "todo.service" not in checked.stderr


def test_password_for_compose_fits_into_a_url(tmp_path: Path):
    [making] = [block for block in blocks("README.md", "sh") if "openssl" in block]
    subprocess.run(["bash", "-e", "-c", making], cwd=tmp_path, check=True, timeout=20)
    assert re.fullmatch("POSTGRES_PASSWORD=[0-9a-f]{48}\n", (tmp_path / ".env").read_text())


def test_pod_is_probed_where_the_contract_says_and_has_the_time_to_end():
    for probe, path in (("livenessProbe", "/health/live"), ("readinessProbe", "/health/ready")):
        assert CONTAINER[probe]["httpGet"] == {"path": path, "port": 8000}
        assert path in CONTRACT["paths"]
    waiting_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert GRACE_S < ENDS_WITHIN_S
    assert POD["terminationGracePeriodSeconds"] > waiting_s + ENDS_WITHIN_S


def test_page_on_neon_says_what_the_pool_does():
    text = " ".join(text_of("neon.md").split())
    assert postgresql_pool.CONNECT["prepare_threshold"] is None
    assert f"up to {postgresql_pool.MAX_CONNECTIONS} connections" in text
    assert f"idle for {postgresql_pool.KEPT_S // 60} minutes" in text
    assert f"longer than {postgresql.ANSWER_S} s" in text
    assert idempotency.SWEEP_EVERY_S == 3600  # "once an hour"
