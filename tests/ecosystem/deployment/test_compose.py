"""compose.yaml: what it says fits the image, the settings and itself; and the API runs on what it gives it.

No engine is needed: PostgreSQL and Redis (or Valkey) of this machine stand for the images.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
import yaml
from sqlalchemy import make_url

from settings import Settings
from tests.ecosystem.deployment import dockerfile
from tests.support import programs
from tests.support.postgresql import find_binaries, new_database
from tests.support.server import ROOT, Server, eventually, find_free_port, run_server

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
API = SERVICES["api"]
IMAGE = dockerfile.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))[-1]
PASSWORD = "canary5f1d77"
_VARIABLE = re.compile(r"\$\{([A-Z_]+):([-?])([^}]*)\}")


def filled_in(text: str, **dotenv: str) -> str:
    """`text` with its variables. Raises KeyError for one that has to be set."""

    def value(match: re.Match[str]) -> str:
        name, is_needed, default = match[1], match[2] == "?", match[3]
        return dotenv[name] if is_needed else dotenv.get(name) or default

    return _VARIABLE.sub(value, text)


def environment(service: str) -> dict[str, str]:
    """What the service is given by a .env with nothing but the password."""
    given = SERVICES[service]["environment"]
    return {name: filled_in(str(text), POSTGRES_PASSWORD=PASSWORD) for name, text in given.items()}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """Started as the file starts it."""
    program = programs.needed("valkey-server", "redis-server", package="redis-server")
    port, folder = find_free_port(), tmp_path_factory.mktemp("valkey")
    arguments = [*SERVICES["valkey"]["command"][1:], "--bind", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=log, stderr=log)
    client = redis.Redis(port=port, decode_responses=True, socket_timeout=5)
    try:
        assert eventually(lambda: answers(client), within_s=10), (folder / "log").read_text()
        yield client
    finally:
        client.close()
        process.kill()
        process.wait(timeout=10)


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="module")
def api(postgresql: str, valkey: redis.Redis, folder: Path) -> Iterator[Server]:
    """Run with what the file gives it, what is empty included, but for the names of other services."""
    port = valkey.connection_pool.connection_kwargs["port"]
    here = {
        "DATABASE_URL": new_database(postgresql),
        "RATE_LIMIT_STORAGE": environment("api")["RATE_LIMIT_STORAGE"].replace(
            "valkey:6379", f"127.0.0.1:{port}"
        ),
    }
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


def test_valkey_forgets_windows_rather_than_refuse_to_count(valkey: redis.Redis):
    assert valkey.config_get("maxmemory*")["maxmemory-policy"] == "volatile-ttl"
    assert valkey.config_get("save")["save"] == ""


def test_health_checks_of_the_others_find_them(postgresql: str, valkey: redis.Redis):
    binaries, url = find_binaries(), psycopg.conninfo.conninfo_to_dict(postgresql)
    assert binaries is not None
    word, program, *arguments = SERVICES["postgresql"]["healthcheck"]["test"]
    assert (word, program) == ("CMD", "pg_isready")
    for port, status in ((url.get("port", "5432"), 0), ("9", 2)):
        asked = [binaries / program, *arguments, f"--port={port}"]
        assert subprocess.run(asked, check=False, timeout=20).returncode == status
    assert SERVICES["valkey"]["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]
    client = programs.needed("valkey-cli", "redis-cli", package="redis-server")
    port = str(valkey.connection_pool.connection_kwargs["port"])
    assert subprocess.check_output([client, "-p", port, "ping"], timeout=20) == b"PONG\n"


def test_settings_of_the_api_are_settings():
    names = {name.upper() for name in Settings.__dataclass_fields__}
    assert names - {*API["environment"]} == {
        "HOST",
        "PORT",
        "NO_COLOR",
    }  # the image's; and no terminal is there
    assert {*API["environment"]} <= names
    Settings.from_environment(environment("api"))


def test_nothing_secret_is_in_the_file_and_its_lack_is_said():
    for service in ("api", "postgresql"):
        with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
            [filled_in(str(text)) for text in SERVICES[service]["environment"].values()]
    written = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    named = re.findall(r"^ +\w*(?:SECRET|PASSWORD)\w*: (.*)$", written, re.MULTILINE)
    assert len(named) == 2
    assert all(_VARIABLE.fullmatch(value) for value in named)


def test_urls_lead_to_services_and_the_database_is_the_one_that_is_made():
    database, counts = (make_url(environment("api")[name]) for name in ("DATABASE_URL", "RATE_LIMIT_STORAGE"))
    assert {database.host, counts.host} == {"postgresql", "valkey"} == {*API["depends_on"]}
    made = environment("postgresql")
    assert (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"], made["POSTGRES_DB"]) == (
        database.username, database.password, database.database
    )  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_of_a_named_version_checked_and_started_again(name: str):
    service = SERVICES[name]
    assert re.search(r":[0-9]", service["image"])
    assert "healthcheck" in service or IMAGE.only("HEALTHCHECK")
    assert service["restart"] == "unless-stopped"
    assert "no-new-privileges:true" in service["security_opt"]
    volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
    assert volumes <= {*COMPOSE["volumes"]}


def test_api_is_built_here_and_can_change_nothing():
    assert (ROOT / API["build"]["context"] / "Dockerfile").is_file()
    packages = dockerfile.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))[-2]
    name, _, lock = packages.only("ARG").rest.partition("=")
    assert {key: filled_in(text) for key, text in API["build"]["args"].items()} == {name: lock}
    assert (API["read_only"], API["cap_drop"], API["init"]) == (True, ["ALL"], True)
    assert "privileged" not in API


def test_api_is_reached_from_this_machine_only_and_stopped_in_time():
    [port] = API["ports"]
    assert re.fullmatch(rf"127\.0\.0\.1:\d+:{IMAGE.only('EXPOSE').rest}", port)
    assert 8 < int(API["stop_grace_period"].removesuffix("s")) < 60


def test_version_of_the_image_is_the_contracts():
    contract = yaml.safe_load((ROOT / "openapi" / "todo.yaml").read_text(encoding="utf-8"))
    assert API["image"] == f"todo-backend:{contract['info']['version']}"


def test_docker_takes_the_file(tmp_path: Path):
    docker = shutil.which("docker")
    command = [docker or "docker", "compose", "version"]
    if docker is None or subprocess.run(command, check=False, capture_output=True, timeout=30).returncode:
        pytest.skip("docker compose is not installed; nothing else needs it")
    (tmp_path / ".env").write_text(f"POSTGRES_PASSWORD={PASSWORD}\n")
    at = ["--project-directory", str(tmp_path), "--file", str(ROOT / "compose.yaml")]
    subprocess.run([docker, "compose", *at, "config", "--quiet"], check=True, timeout=30)
