"""Run schemathesis against a running server as Ada, who must not see or change Bob's tasks.

`find_gaps` says what a run has not proved: a run can also pass because every request was rejected.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.contract_checks import operations
from tests.support.server import ROOT, Server

HERE = Path(__file__).parent
CANARY = "bobs-canary-7f3a9c"
OWN_CHECKS = {"nothing_of_bob_appears", "bob_cannot_repeat_it"}
BUILT_IN_CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "allow_header_conformance",
    "response_headers_conformance", "response_schema_conformance", "missing_required_header", "ignored_auth",
    "negative_data_rejection", "positive_data_acceptance", "unsupported_method", "use_after_free",
    "ensure_resource_availability", "object_level_authorization",
}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """The result of a run. `successes` counts the 2xx responses by phase and `METHOD path`.

    `held` is whether schemathesis found nothing.
    """

    held: bool
    output: str
    successes: Counter[tuple[str, str]]
    checks: frozenset[str]
    bob_is_unharmed: bool

    def successes_of(self, operation: str) -> int:
        return sum(count for (_, name), count in self.successes.items() if name == operation)


def find_gaps(attacked: Attack, least: int, *, linked: bool = True) -> list[str]:
    """Return what the run has not proved.

    Each operation must have succeeded `least` times, or once when it has no input and so only one request.
    If `linked`, each operation that the contract links to must have succeeded after its link. Every check
    must have run.
    """
    needed = {
        f"{operation.method} {operation.path}": least if operation.has_input else 1
        for operation in operations()
        # schemathesis loads the contract from the first and leaves it out. The second would delete Ada.
        if operation.id not in {"service.contract", "auth.delete_account"}
    }
    targets = (
        ["POST /api/auth/login", "POST /api/auth/refresh", *(name for name in needed if "{task_id}" in name)]
        if linked
        else []
    )
    return [
        *(
            f"{name}: {attacked.successes_of(name)} successes, {count} needed"
            for name, count in needed.items()
            if attacked.successes_of(name) < count
        ),
        *(f"{name}: no success after a link" for name in targets if not attacked.successes["stateful", name]),
        *(f"{name}: never checked" for name in (OWN_CHECKS | BUILT_IN_CHECKS) - attacked.checks),
    ]


@dataclass(frozen=True)
class Account:
    """A user with an account on the server under attack."""

    id: str
    token: str
    credentials: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def run(server: Server, folder: Path, *options: str, token: str | None = None) -> Attack:
    """Attack `server` until schemathesis ends, with `token` instead of Ada's if it is given."""
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
    """Return the successes and the names of the checks that ran."""
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
