"""The benchmarks run and print their figures. No test asserts a duration."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import compare, hostile, in_process, load
from benchmarks.data import request
from benchmarks.measure import Bench, Cell, UnexpectedResponse
from benchmarks.systems import OURS, OURS_ON_SQLITE, PEERS
from tests.support.postgresql import find_binaries


@pytest.mark.skipif(find_binaries() is None, reason="it starts a PostgreSQL of its own")
def test_every_system_answers_every_operation_alike(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    compare.main(["--seconds=0.5", "--rounds=1", "--connections", "2", "--sqlite", f"--json={results}"])
    cells = json.loads(results.read_text())["cells"]
    measured = {(cell["system"], cell["operation"]) for cell in cells if cell["answered"] > 0}
    assert measured == set(product([OURS, *PEERS, OURS_ON_SQLITE], compare.OPERATIONS))
    chart = ElementTree.parse(results.with_suffix(".svg"))
    assert len(chart.findall(".//{*}rect")) == len(cells)


def test_cost_of_the_contract_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(in_process, "REQUESTS", 3)
    asyncio.run(in_process.main())
    assert capsys.readouterr().out.count(" µs ") == 3


def test_cost_of_hostile_requests_is_measured(capsys: pytest.CaptureFixture[str]):
    hostile.main(["--requests=5"])
    kinds = [*hostile.BODIES, *hostile.KEYS, *hostile.CURSORS, *hostile.HEADERS, *hostile.TOKENS]
    assert capsys.readouterr().out.count("\n| ") == len(kinds) + 2 * 5


class Broken(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def broken() -> Iterator[Any]:
    """A server that responds to every request with 503."""
    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {"PORT": str(server.server_port)}
        yield SimpleNamespace(process=SimpleNamespace(pid=os.getpid()), settings=settings)
        server.shutdown()


def test_response_that_is_not_2xx_fails_the_run(broken: Any) -> None:
    with load.client() as client, pytest.raises(UnexpectedResponse, match="503"):
        Bench(client, {"broken": broken}).measure(Cell("broken", "get", 1), [request("GET", "/")], 0.1)
