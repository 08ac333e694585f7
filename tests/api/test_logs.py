"""The log: one JSON line for each request, in UTC, without anything that a client sent."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

import app  # noqa: F401  its packages declare every metric
from tests.support.contract_checks import CONTRACT
from tests.support.databases import on_sqlite
from tests.support.raw_http import exchange
from tests.support.server import ROOT, Server, run_server
from tests.support.users import User, sign_token

CANARY = "c4n4ry"  # in everything that is sent
EMAIL = f"{CANARY}@example.com"
CREDENTIALS = {"email": EMAIL, "password": f"{CANARY} green parrots"}
TASK = {"title": f"Feed the {CANARY}", "description": f"{CANARY} food"}
HEADERS = {
    "X-Canary": CANARY,
    "User-Agent": CANARY,
    "Referer": f"https://example.com/{CANARY}",
    "Cookie": f"session={CANARY}",
}
JSON = {"Content-Type": "application/json"}


class Exchange(NamedTuple):
    """A response, and the operation and the user that the log should name."""

    response: httpx.Response
    operation: str
    user: Any = None


class Recording(NamedTuple):
    """Accepted and rejected requests, the token that they were sent with, and the log after them."""

    exchanges: list[Exchange]
    token: str
    log: str
    pid: int

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def recording(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """At the most verbose level, and in a time zone that is not UTC."""
    url = f"sqlite:///{tmp_path_factory.mktemp('logs') / 'todo.db'}"
    with (
        run_server(folder, DATABASE_URL=url, LOG_LEVEL="DEBUG", TZ="JST-9") as server,
        httpx.Client(base_url=server.url, headers=HEADERS, timeout=20) as http,
    ):
        exchanges = [*call_accounts(http)]
        session = exchanges[-1].response.json()
        ada = User(http, session["user"]["id"], session["access_token"])
        exchanges += [*call_tasks(ada), *call_without_access(http, ada), fail(server, ada)]
        request = f"{CANARY.upper()} /{CANARY} HTTP/7.7\r\n{CANARY}\r\n\r\n"
        assert exchange(server.url, request.encode()).status == 400
    return Recording(exchanges, session["access_token"], server.log, server.process.pid)


def call_accounts(http: httpx.Client) -> Iterator[Exchange]:
    """Sign up and log in. Only the last login succeeds."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("signup", CREDENTIALS),
        ("signup", CREDENTIALS),
        ("signup", CREDENTIALS | {"password": CANARY * 13}),
        ("signup", {"email": CANARY, "password": CANARY}),
        ("login", CREDENTIALS | {"password": f"{CANARY} red parrots"}),
        ("login", {"email": f"no-{EMAIL}", "password": CANARY}),
        ("login", CREDENTIALS),
    ]
    for name, body in bodies:
        yield Exchange(http.post(f"/api/auth/{name}", json=body), f"auth.{name}")


def call_tasks(ada: User) -> Iterator[Exchange]:
    """Send what a user may send, well formed or not."""
    media_type = {"Content-Type": f"text/{CANARY}"}
    for response, operation in (
        (ada.post(TASK), "create"),
        (ada.post({"title": CANARY * 40}), "create"),
        (ada.post({"title": CANARY * 20_000}), "create"),
        (ada.request("POST", content=f'{{"{CANARY}', headers=JSON), "create"),
        (ada.request("POST", content=CANARY, headers=media_type), "create"),
        (ada.get(), "list"),
        (ada.get(cursor=CANARY), "list"),
        (ada.get(**{CANARY: CANARY}), "list"),
        (ada.patch("/1", {"title": CANARY}), "patch"),
        (ada.delete("/999"), "delete"),
    ):
        yield Exchange(response, f"tasks.{operation}", ada.id)


def call_without_access(http: httpx.Client, ada: User) -> Iterator[Exchange]:
    """Send what is rejected before the user is known, and what belongs to no user."""
    yield Exchange(http.get("/health/ready"), "service.ready")
    yield Exchange(http.get(ada.tasks), "tasks.list")
    yield Exchange(http.get(ada.tasks, headers={"Authorization": f"Bearer {CANARY}"}), "tasks.list")
    yield Exchange(http.get(ada.tasks, headers={"Authorization": f"Basic {CANARY}"}), "tasks.list")
    yield Exchange(http.get(ada.tasks, params={"access_token": ada.headers["Authorization"]}), "tasks.list")
    yield Exchange(http.get(f"/api/{CANARY}/tasks", headers=ada.headers), "tasks.list", ada.id)
    yield Exchange(http.get(f"/api/{CANARY}", headers=ada.headers), "none")
    yield Exchange(http.post("/health/live", content=CANARY), "none")
    yield Exchange(http.request("PURGE", ada.tasks, headers=ada.headers), "none")


def fail(server: Server, ada: User) -> Exchange:
    """Make the server fail by a constraint that it does not know."""
    with server.database() as connection:
        connection.execute(text("DELETE FROM tasks"))
        connection.execute(text("CREATE UNIQUE INDEX one_task_each ON tasks (user_id)"))
    ada.post(TASK)
    return Exchange(ada.post(TASK), "tasks.create", ada.id)


def test_recording_has_every_kind_of_response(recording: Recording):
    statuses = {exchange.response.status_code for exchange in recording.exchanges}
    assert statuses == {200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 422, 500}


def test_every_request_has_one_line_with_its_operation_status_and_user(recording: Recording):
    lines = [line for line in recording.lines if line["event"] == "request"]
    for response, operation, user in recording.exchanges:
        [line] = [line for line in lines if line["request_id"] == response.headers["x-request-id"]]
        assert line["operation"] == operation
        assert line["method"] == (response.request.method if operation != "none" else "other")
        assert line["status"] == response.status_code
        assert 0 < line["duration_ms"] < 20_000
        assert line["user"] == user


def test_unexpected_error_is_logged_with_its_request_and_a_traceback(recording: Recording):
    [error] = [line for line in recording.lines if line["level"] == "error"]
    assert error["request_id"] == recording.exchanges[-1].response.headers["x-request-id"]
    assert "Traceback" in error["exception"]


def test_every_line_has_its_time_in_utc_whatever_the_time_zone(recording: Recording):
    now = datetime.now(UTC)
    ages_s = {(now - datetime.fromisoformat(line["time"])).total_seconds() for line in recording.lines}
    assert all(line["time"].endswith("Z") for line in recording.lines)
    assert min(ages_s) >= -1
    assert max(ages_s) < 600


def test_no_value_of_a_request_is_in_the_log(recording: Recording):
    assert CANARY not in recording.log.lower()
    assert [part for part in recording.token.split(".") if part in recording.log] == []


@on_sqlite
def test_claims_of_an_outside_token_are_not_in_the_log(secret_server: Server, http: httpx.Client):
    ada = User(http, "ada-in-the-log", sign_token("ada-in-the-log", email=EMAIL, name=CANARY))
    ada.create_task()
    ada.get()  # its response comes after the log line of the request before
    assert ada.id in secret_server.log
    assert CANARY not in secret_server.log


def test_every_line_names_its_process_service_and_version(recording: Recording):
    processes = {(line["pid"], line["service"], line["version"]) for line in recording.lines}
    assert processes == {(recording.pid, "todo-backend", CONTRACT["info"]["version"])}


def test_page_describes_every_field_of_requests_and_every_metric(recording: Recording):
    page = (ROOT / "docs" / "logs-and-traces.md").read_text(encoding="utf-8")
    named = {*re.findall(r"`(\w+)`", page)}
    requests = [line for line in recording.lines if line["event"] == "request"]
    assert {field for line in requests for field in line} <= named
    families = {family.name for family in REGISTRY.collect() if family.name.startswith("todo_")}
    assert {name.removesuffix("_total") for name in named if name.startswith("todo_")} == families
