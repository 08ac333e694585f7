"""A page of another origin, in a real browser: Better Auth's, whose people keep their tasks here.

What the browser lets the page send and read is what the answers' CORS headers allow (Fetch, CORS protocol).
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page
from sqlalchemy import text

from tests.ecosystem.better_auth.frontend import Frontend, better_auth
from tests.ecosystem.browser.caller import FETCH, Caller, watched_preflights
from tests.ecosystem.browser.tab import Tab
from tests.support import programs
from tests.support.server import ROOT, Server, find_free_port, run_server
from tests.support.users import MISSING

HERE = Path(__file__).parent
CLIENT = ROOT / "clients" / "typescript"
PAGE = {
    "/": HERE / "frontend.html",
    "/frontend.js": HERE / "frontend.js",
    "/openapi-fetch/index.mjs": programs.NODE_MODULES / "openapi-fetch" / "dist" / "index.mjs",
}
REQUESTS_A_MINUTE = 30


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The TypeScript client, compiled for browsers: the path of each module on the page's server."""
    built = tmp_path_factory.mktemp("client")
    compiler = programs.NODE_MODULES / "typescript" / "bin" / "tsc"
    options = ("--noCheck", "--composite", "false", "--incremental", "false", "--outDir", built)
    subprocess.run((programs.needed_node(), compiler, "--project", CLIENT, *options), check=True, timeout=120)
    return {f"/client/{module.name}": module for module in built.glob("*.js")}


@pytest.fixture(scope="module")
def frontend(client: dict[str, Path], folder: Path) -> Iterator[Frontend]:
    """A Better Auth server with a page beside it, at a localhost of its own as under development."""
    port = find_free_port()
    files = json.dumps({path: str(file) for path, file in (PAGE | client).items()})
    with better_auth(folder, port=port, BETTER_AUTH_URL=f"http://localhost:{port}", FILES=files) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def server(frontend: Frontend, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The todo backend for that page, with a rate limit that a test can use up."""
    settings = {"RATE_LIMIT": "on", "RATE_LIMIT_API": f"{REQUESTS_A_MINUTE}/minute"}
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path_factory.mktemp('todo') / 'todo.db'}"
    with run_server(folder, CORS_ORIGINS=frontend.origin, **settings, **frontend.as_issuer) as server:
        yield server


@pytest.fixture
def tab(frontend: Frontend, server: Server, new_tab: Callable[..., Tab]) -> Tab:
    """The page, as it is when it has just been opened."""
    tab = new_tab()
    tab.page.goto(f"{frontend.origin}/?api={server.url}")
    return tab


@pytest.fixture
def ada(tab: Tab, server: Server, frontend: Frontend) -> Caller:
    """Someone new, on the page."""
    return Caller(tab.page, server, frontend.visitor())


def test_someone_signs_up_on_the_page_and_keeps_tasks_here_with_the_client(tab: Tab):
    preflights, page = watched_preflights(tab.page), tab.page
    sign_up(page)
    for title in ("Buy milk", "Buy oats"):
        page.get_by_label("Title").fill(title)
        page.get_by_role("button", name="Add").click()
        item(page, title).wait_for()
    item(page, "Buy milk").get_by_role("checkbox").check()
    item(page, "Buy oats").get_by_role("button", name="Delete").click()
    item(page, "Buy oats").wait_for(state="detached")
    assert item(page, "Buy milk").get_by_role("checkbox").is_checked()
    # GET's preflight covers POST, which the same path takes and which needs no permission of its own.
    assert set(preflights) == {(method, 200) for method in ("GET", "PATCH", "DELETE")}


def sign_up(page: Page) -> None:
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill("three green parrots")
    with page.expect_response("**/tasks"):
        page.get_by_role("button", name="Sign up").click()


def item(page: Page, title: str) -> Any:
    return page.get_by_role("listitem").filter(has_text=title)


def test_page_reads_where_the_new_task_is_and_its_version(ada: Caller):
    created = ada.fetch("POST", body={"title": "Buy milk"})
    assert created.status == 201
    assert created.headers["location"].endswith(f"/tasks/{created.json()['id']}")
    assert created.headers["etag"] == '"1"'
    assert created.headers["x-request-id"]


def test_page_reads_the_link_to_the_next_page(ada: Caller):
    for title in ("Buy milk", "Buy oats"):
        ada.fetch("POST", body={"title": title})
    assert ada.fetch("GET", "?limit=1").headers["link"].endswith('rel="next"')


def test_page_may_send_a_key(ada: Caller):
    first, again = (ada.fetch("POST", body={"title": "Buy milk"}, Idempotency_Key="once") for _ in range(2))
    assert (again.status, again.json()) == (201, first.json())


def test_page_may_send_a_version(ada: Caller):
    task = ada.fetch("POST", body={"title": "Buy milk"})
    path = f"/{task.json()['id']}"
    assert ada.fetch("GET", path, If_None_Match=task.headers["etag"]).status == 304
    assert ada.fetch("PUT", path, body={"title": "Buy oats"}, If_Match=task.headers["etag"]).status == 200
    stale = ada.fetch("PUT", path, body={"title": "Buy tea"}, If_Match=task.headers["etag"])
    assert (stale.status, stale.json()["title"]) == (412, "The task has changed")


REFUSALS = {
    401: lambda ada: ada.fetch("GET", Authorization="Bearer garbage"),
    403: lambda ada: ada.fetch("GET", "/../../bob/tasks"),
    404: lambda ada: ada.fetch("GET", f"/{MISSING}"),
    413: lambda ada: ada.fetch("POST", body={"title": "milk" * 20_000}),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_page_reads_why_it_is_refused(ada: Caller, status: int):
    refused = REFUSALS[status](ada)
    assert refused.status == refused.json()["status"] == status
    assert refused.headers["x-request-id"] == refused.json()["request_id"]


def test_page_reads_how_long_to_wait_when_the_limit_is_used_up(ada: Caller):
    answers = [ada.fetch("GET") for _ in range(REQUESTS_A_MINUTE + 1)]
    assert answers[-1].status == answers[-1].json()["status"] == 429
    assert {"retry-after", "ratelimit", "ratelimit-policy"} <= answers[-1].headers.keys()


def test_page_reads_how_long_to_wait_when_the_database_is_locked(ada: Caller, server: Server):
    with server.database() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))
        refused = ada.fetch("POST", body={"title": "Buy milk"})
    assert refused.status == refused.json()["status"] == 503
    assert int(refused.headers["retry-after"]) > 0


@pytest.fixture
def stranger(frontend: Frontend, new_tab: Callable[..., Tab]) -> Tab:
    """The same page, but not at the origin that is in CORS_ORIGINS."""
    stranger = new_tab()
    stranger.page.goto(frontend.url)
    return stranger


def test_page_of_another_origin_may_not_ask(stranger: Tab, frontend: Frontend, server: Server):
    with pytest.raises(Error, match="Failed to fetch"):
        Caller(stranger.page, server, frontend.visitor()).fetch("GET")
    assert "blocked by CORS policy: Response to preflight" in stranger.take_complaints()


def test_page_of_another_origin_reads_nothing_of_what_it_may_ask(stranger: Tab, server: Server):
    with pytest.raises(Error, match="Failed to fetch"):
        stranger.page.evaluate(FETCH, [f"{server.url}/health/live", {}])
    assert "blocked by CORS policy: No 'Access-Control-Allow-Origin'" in stranger.take_complaints()
