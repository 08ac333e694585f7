"""Runs schemathesis against a running server as Ada, with Bob's tasks to be kept from her."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.server import ROOT, Server

HERE = Path(__file__).parent
CANARY = "bobs-canary-7f3a9c"


@dataclass(frozen=True)
class Attack:
    """What came of it. `successes` counts the 2xx answers by phase and `METHOD path`."""

    held: bool
    output: str
    successes: Counter[tuple[str, str]]
    checks: frozenset[str]
    bob_is_unharmed: bool

    def successes_of(self, operation: str) -> int:
        return sum(count for (_, name), count in self.successes.items() if name == operation)


@dataclass(frozen=True)
class Account:
    """Someone with an account on the server under attack."""

    id: str
    token: str
    credentials: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def run(server: Server, folder: Path, *options: str, token: str | None = None) -> Attack:
    """Attack `server` until schemathesis is done. `token` in place of Ada's, to see what is noticed."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        bob, ada = _account(http, "bob"), _account(http, "ada")
        for number in range(3):  # Bob's are the lowest ids, which boundary values hit
            task = {"title": f"{CANARY} {number}", "description": CANARY}
            http.post(f"/api/{bob.id}/tasks", json=task, headers=bob.headers).raise_for_status()
        before = _tasks(http, bob)
        report = folder / "attack.ndjson"
        finished = _schemathesis(server, report, ada, bob, token or ada.token, options)
        successes, checks = _read(report)
        return Attack(
            finished.returncode == 0, finished.stdout, successes, checks, _tasks(http, bob) == before
        )


def _schemathesis(
    server: Server, report: Path, ada: Account, bob: Account, token: str, options: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.contract.attacker",
        "ADA_ID": ada.id,
        "ADA_TOKEN": token,
        "ADA_CREDENTIALS": json.dumps(ada.credentials),
        "BOB_TOKEN": bob.token,
        "BOBS_CANARY": CANARY,
    }
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{server.url}/openapi.json", "--report-ndjson-path", str(report), *options,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def _account(http: httpx.Client, name: str) -> Account:
    credentials = {"email": f"{name}@example.com", "password": "three green parrots"}
    http.post("/api/auth/signup", json=credentials).raise_for_status()
    session = http.post("/api/auth/login", json=credentials).raise_for_status().json()
    return Account(session["user"]["id"], session["access_token"], credentials)


def _tasks(http: httpx.Client, person: Account) -> bytes:
    return http.get(f"/api/{person.id}/tasks", headers=person.headers).raise_for_status().content


def _read(report: Path) -> tuple[Counter[tuple[str, str]], frozenset[str]]:
    """The successes, and the names of the checks that were made."""
    successes: Counter[tuple[str, str]] = Counter()
    checks: set[str] = set()
    for line in report.read_text(encoding="utf-8").splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {})
        recorder = scenario.get("recorder", {})
        checks |= {check["name"] for made in recorder.get("checks", {}).values() for check in made}
        for case_id, case in recorder.get("cases", {}).items():
            response = recorder.get("interactions", {}).get(case_id, {}).get("response")
            if response and response["status_code"] < 300:
                successes[scenario["phase"], f"{case['value']['method']} {case['value']['path']}"] += 1
    return successes, frozenset(checks)
