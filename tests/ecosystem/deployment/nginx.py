"""A real nginx with deploy/nginx.conf, on free ports and in a folder of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.ecosystem.deployment.pages import DEPLOY
from tests.support import programs
from tests.support.certificates import write_certificate
from tests.support.raw_http import connect
from tests.support.server import eventually, find_free_port

TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CERTIFICATES = "/etc/letsencrypt/live/todo.example.com"


class Nginx(NamedTuple):
    """A running nginx. `plain_url` is the port that does not serve the API."""

    url: str
    plain_url: str
    folder: Path


def adapt_configuration(api_url: str, nginx: Nginx, *changes: tuple[str, str]) -> str:
    """Return nginx.conf with the paths and ports of the test, and with `changes`."""
    folder, certificate = nginx.folder, write_certificate(nginx.folder / "certificate.pem")
    paths = [
        ("user www-data;", "user root;" if os.geteuid() == 0 else ""),  # it cannot read a test's folder
        ("pid /run/", f"pid {folder}/"),
        ("error_log /var/log/nginx/", f"error_log {folder}/"),
        ("access_log /var/log/nginx/", f"access_log {folder}/"),
        ("root /var/www/", f"root {folder}/"),
        (f"{CERTIFICATES}/fullchain.pem", str(certificate)),
        (f"{CERTIFICATES}/privkey.pem", str(certificate)),
        ("http {", "http {" + "".join(f" {name}_temp_path {folder}/{name};" for name in TEMPORARY_FOLDERS)),
        ("server 127.0.0.1:8000;", f"server {api_url.removeprefix('http://')};"),
        ("listen 80;", f"listen {nginx.plain_url.removeprefix('http://')};"),
        ("listen 443 ", f"listen {nginx.url.removeprefix('https://')} "),
    ]
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for before, after in (*paths, *changes):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextlib.contextmanager
def run_nginx(api_url: str, folder: Path, *changes: tuple[str, str]) -> Iterator[Nginx]:
    """Run nginx in front of the API at `api_url`."""
    program = programs.needed("nginx", package="nginx-light")
    nginx = Nginx(f"https://127.0.0.1:{find_free_port()}", f"http://127.0.0.1:{find_free_port()}", folder)
    configuration = folder / "nginx.conf"
    configuration.write_text(adapt_configuration(api_url, nginx, *changes), encoding="utf-8")
    command = [program, "-p", folder, "-c", configuration, "-e", folder / "start.log", "-g", "daemon off;"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        if not eventually(lambda: _listens(nginx.url), within_s=10):
            logs = "\n".join(file.read_text() for file in folder.glob("*.log"))
            raise RuntimeError(f"nginx does not listen:\n{logs}")
        yield nginx
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(url: str) -> bool:
    with contextlib.suppress(OSError), connect(url):
        return True
    return False
