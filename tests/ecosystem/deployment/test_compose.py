"""compose.yaml fits the settings and the version, and the API runs on what the file gives it.

No container engine is needed: PostgreSQL and Redis (or Valkey) of this machine stand for the images.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis
import yaml

from settings import Settings
from tests.support import programs
from tests.support.contract_checks import CONTRACT
from tests.support.postgresql import find_binaries, new_database
from tests.support.server import ROOT, Server, eventually, find_free_port, run_server

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
API = SERVICES["api"]
PASSWORD = "canary5f1d77"


def environment(service: str) -> dict[str, str]:
    """Return the variables of a service, with a .env that has only the password."""

    def fill_in(value: str) -> str:
        value = value.replace("${POSTGRES_PASSWORD:?put one into .env}", PASSWORD)
        return re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", value)

    return {name: fill_in(str(value)) for name, value in SERVICES[service]["environment"].items()}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """Redis or Valkey with the arguments of the file."""
    program = programs.needed("valkey-server", "redis-server", package="redis-server")
    port, folder = find_free_port(), tmp_path_factory.mktemp("valkey")
    arguments = [*SERVICES["valkey"]["command"][1:], "--bind", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([program, *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, decode_responses=True, socket_timeout=5)
    try:
        assert eventually(lambda: is_up(client), within_s=10)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait(timeout=10)


def is_up(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="module")
def api(postgresql: str, valkey: redis.Redis, folder: Path) -> Iterator[Server]:
    """The API with the variables of the file, empty ones included, but on this machine."""
    port = valkey.connection_pool.connection_kwargs["port"]
    storage = environment("api")["RATE_LIMIT_STORAGE"].replace("valkey:6379", f"127.0.0.1:{port}")
    here = {"DATABASE_URL": new_database(postgresql), "RATE_LIMIT_STORAGE": storage}
    with run_server(folder, **environment("api") | here) as server:
        yield server


def test_api_serves_on_postgresql_and_counts_in_valkey(api: Server, valkey: redis.Redis):
    with httpx.Client(base_url=api.url, timeout=20) as http:
        account = {"email": "ada@example.com", "password": "three green parrots"}
        assert http.get("/health/ready").status_code == 200
        assert http.post("/api/auth/signup", json=account).status_code == 201
        assert http.post("/api/auth/login", json=account).status_code == 200
    assert [*valkey.scan_iter("*signup*")]
    with api.database() as connection:
        assert connection.exec_driver_sql("SELECT email FROM users").scalars().all() == ["ada@example.com"]


def test_valkey_stores_nothing_and_removes_old_windows_when_its_memory_is_full(valkey: redis.Redis):
    assert valkey.config_get("maxmemory*")["maxmemory-policy"] == "volatile-ttl"
    assert valkey.config_get("save")["save"] == ""


def test_health_check_of_postgresql_finds_it(postgresql: str):
    binaries = find_binaries()
    assert binaries is not None
    _word, program, *arguments = SERVICES["postgresql"]["healthcheck"]["test"]
    for port, status in ((urlsplit(postgresql).port, 0), (9, 2)):
        command = [binaries / program, *arguments, f"--port={port}"]
        assert subprocess.run(command, check=False, timeout=20, capture_output=True).returncode == status


def test_every_setting_is_passed_on_except_those_of_the_image():
    names = {name.upper() for name in Settings.__dataclass_fields__}
    assert names - {*API["environment"]} == {"HOST", "PORT", "NO_COLOR"}
    assert {*API["environment"]} <= names
    assert Settings.from_environment(environment("api")).rate_limit


def test_api_has_the_version_of_the_contract_and_the_database_that_postgresql_creates():
    assert API["image"] == f"todo-backend:{CONTRACT['info']['version']}"
    created = environment("postgresql")
    user, database = created["POSTGRES_USER"], created["POSTGRES_DB"]
    assert created["POSTGRES_PASSWORD"] == PASSWORD
    assert environment("api")["DATABASE_URL"] == f"postgresql://{user}:{PASSWORD}@postgresql:5432/{database}"
    assert {*API["depends_on"]} == {"postgresql", "valkey"}


def test_logs_are_rotated_and_no_option_needs_a_newer_engine():
    for service in SERVICES.values():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
        assert "start_interval" not in service.get("healthcheck", {})  # Docker 25


def test_memory_limit_fits_the_workers():
    limit = re.fullmatch(r"\$\{MEMORY_LIMIT:-(\d+)m\}", API["mem_limit"])
    assert limit is not None
    assert int(limit[1]) >= 200 + 150 * int(environment("api")["WORKERS"])


def test_no_secret_is_in_the_file():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "SECRET" in name:
                assert value.startswith("${")
                assert value.endswith(("?put one into .env}", ":-}"))


def test_api_has_no_privileges_and_is_reached_from_this_machine_only():
    assert (API["read_only"], API["cap_drop"], API["init"]) == (True, ["ALL"], True)
    assert API["ports"] == ["127.0.0.1:8000:8000"]
    assert API["stop_grace_period"] == "10s"  # the server takes at most 8
    for service in SERVICES.values():
        assert service["restart"] == "unless-stopped"
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service["image"].endswith("latest")
        assert "privileged" not in service
