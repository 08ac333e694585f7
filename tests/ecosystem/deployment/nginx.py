"""A real nginx with deploy/nginx.conf, on a free port and in a folder of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.ecosystem.deployment.pages import DEPLOY
from tests.support import programs
from tests.support.raw_http import connect
from tests.support.server import Server, eventually, find_free_port

TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def adapt_configuration(api: Server, port: int, folder: Path, *changes: tuple[str, str]) -> str:
    """Return nginx.conf with the paths and ports of the test, and with `changes`."""
    paths = [
        ("user www-data;", "user root;" if os.geteuid() == 0 else ""),  # it cannot read a test's folder
        ("pid /run/", f"pid {folder}/"),
        ("error_log /var/log/nginx/", f"error_log {folder}/"),
        ("http {", "http {" + "".join(f" {name}_temp_path {folder}/{name};" for name in TEMPORARY_FOLDERS)),
        ("server 127.0.0.1:8000;", f"server {api.url.removeprefix('http://')};"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
    ]
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for before, after in (*paths, *changes):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextlib.contextmanager
def run_nginx(api: Server, folder: Path, *changes: tuple[str, str]) -> Iterator[str]:
    """Run nginx in front of `api` and yield its URL."""
    program = programs.needed("nginx", package="nginx-light")
    port = find_free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(adapt_configuration(api, port, folder, *changes), encoding="utf-8")
    command = [program, "-p", folder, "-c", configuration, "-e", folder / "start.log", "-g", "daemon off;"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        if not eventually(lambda: _listens(url), within_s=10):
            logs = "\n".join(file.read_text() for file in folder.glob("*.log"))
            raise RuntimeError(f"nginx does not listen:\n{logs}")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(url: str) -> bool:
    with contextlib.suppress(OSError), connect(url):
        return True
    return False
