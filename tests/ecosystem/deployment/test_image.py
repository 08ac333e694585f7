"""The Dockerfile. No engine is needed: what it copies, runs and asks is done here, in folders of its own.

For the image stand a virtual environment with the packages of its lock file, on the Python of the tests, and
for its address 127.0.0.1 and a free port.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from settings import Settings
from tests.ecosystem.deployment import dockerfile
from tests.support import programs
from tests.support.server import ROOT, Server, find_free_port, start_server, wait_until_live

*EARLIER, IMAGE = dockerfile.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
PACKAGES = EARLIER[-1]
NOBODY_ANSWERS = "http://127.0.0.1:9"


class Container(NamedTuple):
    """What `docker run` starts: in `folder`, with the files that were `built` there; `data` is its volume."""

    server: Server
    folder: Path
    built: set[Path]
    data: Path
    environment: dict[str, str]

    def is_healthy(self, **environment: str) -> bool:
        """What HEALTHCHECK finds."""
        _, _, command = IMAGE.only("HEALTHCHECK").rest.partition("CMD ")
        asked = dockerfile.Instruction("CMD", {}, command).command
        found = subprocess.run(
            asked, env=self.environment | environment, cwd=self.folder, check=False, timeout=20,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return found.returncode == 0


def installed(folder: Path, lock: Path) -> Path:
    """The programs of a virtual environment with just these packages, each of the hash that it is to have."""
    uv = shutil.which("uv", path=os.pathsep.join((programs.PATH, f"{sys.prefix}/uv/bin")))
    if uv is None:
        programs.leave_out("uv is not installed: run `make install`")
    environment = folder / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True, timeout=60)
    flags = re.findall("--require-hashes|--only-binary :all:", PACKAGES.only("RUN").rest)
    into = ["--quiet", "--python", environment, "--requirement", lock]
    subprocess.run([uv, "pip", "install", *" ".join(flags).split(), *into], check=True, timeout=300)
    return environment / "bin"


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One that runs, from packages, files, environment and command of the Dockerfile alone."""
    image, data = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("data")
    binaries = installed(image, ROOT / PACKAGES.only("ARG").rest.partition("=")[2])
    environment = here(binaries, data)
    folder = dockerfile.copied(IMAGE, image)
    compiling = IMAGE.all("RUN")[-1].rest.split()
    subprocess.run(compiling, cwd=folder, env=environment, check=True, timeout=60)
    built = files_of(folder)
    asked = {"PYTHONPATH": "", "RATE_LIMIT": ""} | environment
    command = IMAGE.only("CMD").command
    server = start_server(folder, (str(binaries / command[0]), *command[1:]), **asked)
    try:
        yield Container(wait_until_live(server), folder, built, data, environment)
    finally:
        if server.process.poll() is None:
            server.kill()


def files_of(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def here(binaries: Path, data: Path) -> dict[str, str]:
    """What ENV sets, for programs, a volume and an address of this machine."""
    environment = IMAGE.only("ENV").values
    url = environment["DATABASE_URL"].replace(IMAGE.only("VOLUME").rest, str(data))
    path = environment["PATH"].replace("/opt/venv/bin", str(binaries))
    return environment | {
        "PATH": path, "DATABASE_URL": url, "HOST": "127.0.0.1", "PORT": str(find_free_port())
    }  # fmt: skip


def test_someone_signs_up_in_a_container(container: Container):
    with httpx.Client(base_url=container.server.url, timeout=20) as http:
        account = {"email": "ada@example.com", "password": "three green parrots"}
        assert http.post("/api/auth/signup", json=account).status_code == 201
        user = http.post("/api/auth/login", json=account).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {user['access_token']}"}
        tasks = f"/api/{user['user']['id']}/tasks"
        assert http.post(tasks, json={"title": "Buy milk"}, headers=bearer).status_code == 201
        for path in ("/health/ready", "/docs/", "/openapi.json", "/metrics"):
            assert http.get(path, follow_redirects=True).status_code == 200, path


def test_container_writes_to_its_volume_and_nowhere_else(container: Container):
    assert (container.data / "todo.db").is_file()
    assert files_of(container.folder) - container.built == {container.server.log_file}  # no .pyc either
    assert {file.suffix for file in container.built} == {
        ".py",
        ".pyc",
        ".yaml",
        ".mako",
        ".html",
        ".css",
        ".js",
    }


@pytest.mark.parametrize("proxy", [{}, {"HTTP_PROXY": NOBODY_ANSWERS, "http_proxy": NOBODY_ANSWERS}])
def test_container_is_healthy(container: Container, proxy: dict[str, str]):
    assert container.is_healthy(**proxy)


def test_container_is_unhealthy_where_nothing_answers(container: Container):
    assert not container.is_healthy(PORT="9")


def test_docker_stop_ends_it_within_its_ten_seconds(container: Container):
    container.server.process.send_signal(signal.SIGTERM)  # what STOPSIGNAL is where it is not said
    assert container.server.process.wait(timeout=10) == 0
    assert not container.is_healthy()


def test_health_is_life_and_not_the_database():
    assert "/health/live'" in IMAGE.only("HEALTHCHECK").rest


def test_image_has_what_runs_and_nothing_else(tmp_path: Path):
    folder = dockerfile.copied(IMAGE, tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        *("app.py", "server.py", "settings.py", "openapi"),
        *("cli", "contract", "handlers", "observability", "persistence", "security"),
    }


@pytest.mark.parametrize(
    "path",
    [".env", "todo.db", ".git/config", ".venv/bin/python", "tests/conftest.py", "contract/__pycache__/a.pyc"],
)
def test_nothing_private_is_sent_to_the_engine(path: str):
    assert dockerfile.is_ignored(path)


def test_image_runs_as_nobody_in_particular():
    user, _, group = IMAGE.only("USER").rest.partition(":")
    assert (int(user) > 0, int(group) > 0) == (True, True)
    words = [instruction.word for instruction in IMAGE.instructions]
    assert not {"COPY", "RUN"}.intersection(
        words[words.index("USER") :]
    )  # nothing it could change is its own


def test_image_is_of_a_named_python_and_has_no_tools_to_build_with():
    assert {stage.image for stage in (*EARLIER, IMAGE)} == {"python:3.13-slim-trixie"}
    assert [copy.options for copy in IMAGE.all("COPY") if copy.options] == [{"from": "packages"}]
    assert not re.search("apt|pip|gcc", " ".join(run.rest for run in IMAGE.all("RUN")))


def test_packages_are_of_the_hashes_in_the_lock_file_and_nothing_is_compiled():
    assert {"--require-hashes", "--only-binary"} <= {*PACKAGES.only("RUN").rest.split()}


def test_image_sets_what_there_is_to_set():
    names = {name.upper() for name in Settings.__dataclass_fields__}
    assert {*IMAGE.only("ENV").values} - names == {"PATH", "PYTHONUNBUFFERED"}
    assert IMAGE.only("ENV").values["HOST"] == "0.0.0.0"
    assert IMAGE.only("ENV").values["PORT"] == IMAGE.only("EXPOSE").rest


def test_lock_file_of_opentelemetry_has_the_same_packages_and_more():
    pinned = {
        name: set(re.findall("^([^ #;]+==[^ ;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-otel.lock")
    }
    assert pinned["requirements.lock"] < pinned["requirements-otel.lock"]
