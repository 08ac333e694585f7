"""What the Dockerfile copies and installs is enough to serve. No container engine is needed.

A virtual environment with the packages of requirements.lock and a folder with the copied files stand for the
image.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support import programs
from tests.support.server import ROOT, Server, run_server

COPIED = (
    *("app.py", "setting_parsers.py", "settings.py", "openapi/todo.yaml"),
    *("cli", "contract", "handlers", "observability", "persistence", "security", "server"),
)
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()


def command_with(text: str) -> list[str]:
    """Return the command of the line `CMD [...]` that contains `text`."""
    [line] = [line.strip() for line in LINES if line.strip().startswith("CMD") and text in line]
    return list(json.loads(line.removeprefix("CMD ")))


class Container(NamedTuple):
    """A server that runs from the files and the packages of the image. `data` is its volume."""

    server: Server
    python: Path
    folder: Path
    data: Path

    def is_healthy(self, **environment: str) -> bool:
        """Run the health check of the Dockerfile."""
        _python, *arguments = command_with("/health/live")
        settings = {"PORT": self.server.settings["PORT"]} | environment
        ended = subprocess.run(
            [self.python, *arguments], env=settings, check=False, timeout=20, capture_output=True
        )
        return ended.returncode == 0


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    python = install(tmp_path_factory.mktemp("venv"))
    folder, data = tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("data")
    (folder / "openapi").mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    _python, *arguments = command_with("serve")
    settings = {"DATABASE_URL": f"sqlite:///{data / 'todo.db'}", "PYTHONPATH": "", "RATE_LIMIT": ""}
    with run_server(folder, (str(python), *arguments), **settings) as server:
        yield Container(server, python, folder, data)


def install(folder: Path) -> Path:
    """Create a virtual environment with only the packages of requirements.lock, and return its Python."""
    uv = programs.find_uv()
    if uv is None:
        programs.leave_out("uv is not installed: run `make install`")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    flags = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--python", folder]
    command = [uv, "pip", "install", *flags, "--requirement", ROOT / "requirements.lock"]
    subprocess.run(command, check=True, timeout=300)
    return folder / "bin" / "python"


def test_files_and_packages_of_the_image_are_enough_to_serve(container: Container):
    with httpx.Client(base_url=container.server.url, timeout=20) as http:
        account = {"email": "ada@example.com", "password": "three green parrots"}
        assert http.post("/api/auth/signup", json=account).status_code == 201
        session = http.post("/api/auth/login", json=account).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {session['access_token']}"}
        tasks = f"/api/{session['user']['id']}/tasks"
        assert http.post(tasks, json={"title": "Buy milk"}, headers=bearer).status_code == 201
        for path in ("/health/ready", "/docs/", "/openapi.json", "/metrics"):
            assert http.get(path, follow_redirects=True).status_code == 200, path
    assert (container.data / "todo.db").is_file()
    assert [path.name for path in container.folder.rglob("*.db*")] == []


def test_health_check_asks_the_server_alone_and_never_through_a_proxy(container: Container):
    assert container.is_healthy()
    assert container.is_healthy(HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    assert not container.is_healthy(PORT="9")


# The last test that uses `container`: it stops it.
def test_sigterm_stops_the_container_within_ten_seconds(container: Container):
    container.server.process.terminate()
    assert container.server.process.wait(timeout=10) == 0
    assert not container.is_healthy()


def test_dockerfile_copies_these_files_and_the_build_context_has_no_others():
    copied = " ".join(line for line in LINES if line.startswith("COPY")).replace("/ ", " ").split()
    assert [name for name in COPIED if name not in copied] == []
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert ignore[1] == "*"
    assert allowed == {"requirements*.lock", "*.py", *(name for name in COPIED if not name.endswith(".py"))}
    assert {"**/__pycache__", "**/*.pyc"} <= {*ignore}


def test_image_runs_as_a_user_who_can_write_nothing_of_it():
    user = LINES.index("USER 10001:10001")
    assert [line for line in LINES[user:] if line.startswith(("COPY", "RUN"))] == []
    assert "    HOST=0.0.0.0 \\" in LINES
    text = "\n".join(LINES)
    assert "--gid 10001 todo" in text
    assert "--group root --mode 770 /data" in text  # an arbitrary user id with group 0
    assert "\nVOLUME" not in text  # it would leave an anonymous volume behind


def test_packages_with_opentelemetry_are_the_same_and_more():
    both = [
        {line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if "==" in line}
        for name in ("requirements.lock", "requirements-otel.lock")
    ]
    assert both[0] < both[1]
