"""`.ci/audit` says whether there are known vulnerabilities, and when it cannot know."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.server import ROOT, find_free_port

VULNERABLE = {"id": "GHSA-planted", "summary": "planted", "affected": [], "modified": "2026-01-01T00:00:00Z"}


class Database(BaseHTTPRequestHandler):
    """The API of osv.dev (https://google.github.io/osv.dev/post-v1-query/). /bad has an entry for PyJWT."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_found = self.path.startswith("/bad") and query["package"]["name"] == "pyjwt"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"vulns": [VULNERABLE]} if is_found else {}).encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def audit(url: str) -> tuple[int, str]:
    ended = subprocess.run(
        [ROOT / ".ci" / "audit", url], capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_audit_passes_fails_or_says_that_it_knows_nothing(database: str):
    status, output = audit(f"{database}/good")
    assert (status, output.startswith("No known vulnerability")) == (0, True)
    status, output = audit(f"{database}/bad")
    assert (status, "GHSA-planted" in output, "pyjwt" in output) == (1, True, True)
    status, output = audit(f"http://127.0.0.1:{find_free_port()}")
    assert (status, output.startswith("Not checked")) == (3, True)
