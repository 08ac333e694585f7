"""A page of another origin in a real browser: a page of Better Auth, where users have their tasks here.

The CORS headers of the responses decide what the page can send and read (Fetch, CORS protocol).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page
from sqlalchemy import text

from tests.ecosystem.better_auth.frontend import Frontend, better_auth
from tests.ecosystem.browser.caller import FETCH, Caller, watch_preflights
from tests.ecosystem.browser.tab import Tab
from tests.support.programs import NODE_MODULES, compile_typescript
from tests.support.server import ROOT, Server, find_free_port, run_server
from tests.support.users import MISSING

HERE = Path(__file__).parent
PAGE = {
    "/": HERE / "frontend.html",
    "/frontend.js": HERE / "frontend.js",
    "/openapi-fetch/index.mjs": NODE_MODULES / "openapi-fetch" / "dist" / "index.mjs",
}
REQUESTS_A_MINUTE = 30


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The TypeScript client, compiled for browsers: the file of each path."""
    built = tmp_path_factory.mktemp("client")
    options = ("--noCheck", "--composite", "false", "--incremental", "false", "--outDir", built)
    compile_typescript("--project", ROOT / "clients" / "typescript", *options)
    return {f"/client/{module.name}": module for module in built.glob("*.js")}


@pytest.fixture(scope="module")
def frontend(client: dict[str, Path], folder: Path) -> Iterator[Frontend]:
    """A Better Auth server that serves a page too, at an origin of localhost as in development."""
    port = find_free_port()
    files = json.dumps({path: str(file) for path, file in (PAGE | client).items()})
    with better_auth(folder, port=port, BETTER_AUTH_URL=f"http://localhost:{port}", FILES=files) as frontend:
        yield frontend


@pytest.fixture(scope="module")
def server(frontend: Frontend, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The todo backend of that page, with a rate limit that a test can use up."""
    settings = {"RATE_LIMIT": "on", "RATE_LIMIT_API": f"{REQUESTS_A_MINUTE}/minute"}
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path_factory.mktemp('todo') / 'todo.db'}"
    with run_server(folder, CORS_ORIGINS=frontend.origin, **settings, **frontend.as_issuer) as server:
        yield server


@pytest.fixture
def tab(frontend: Frontend, server: Server, new_tab: Callable[..., Tab]) -> Tab:
    """The page as it is when it has just been opened."""
    tab = new_tab()
    tab.page.goto(f"{frontend.origin}/?api={server.url}")
    return tab


@pytest.fixture
def ada(tab: Tab, server: Server, frontend: Frontend) -> Caller:
    """A new user on the page."""
    return Caller(tab.page, server, frontend.visitor())


def test_user_signs_up_on_the_page_and_uses_tasks_with_the_client(tab: Tab):
    preflights, page = watch_preflights(tab.page), tab.page
    sign_up(page)
    for title in ("Buy milk", "Buy oats"):
        page.get_by_label("Title").fill(title)
        page.get_by_role("button", name="Add").click()
        find_item(page, title).wait_for()
    find_item(page, "Buy milk").get_by_role("checkbox").check()
    find_item(page, "Buy oats").get_by_role("button", name="Delete").click()
    find_item(page, "Buy oats").wait_for(state="detached")
    assert find_item(page, "Buy milk").get_by_role("checkbox").is_checked()
    # The preflight of GET serves POST too: it has the same path and needs no permission of its own.
    assert set(preflights) == {(method, 200) for method in ("GET", "PATCH", "DELETE")}


def sign_up(page: Page) -> None:
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill("three green parrots")
    with page.expect_response("**/tasks"):
        page.get_by_role("button", name="Sign up").click()


def find_item(page: Page, title: str) -> Any:
    return page.get_by_role("listitem").filter(has_text=title)


def test_page_can_read_location_etag_request_id_and_link(ada: Caller):
    created = ada.fetch("POST", body={"title": "Buy milk"})
    assert created.status == 201
    assert created.headers["location"].endswith(f"/tasks/{created.json()['id']}")
    assert created.headers["etag"] == '"1"'
    assert created.headers["x-request-id"]
    ada.fetch("POST", body={"title": "Buy oats"})
    assert ada.fetch("GET", "?limit=1").headers["link"].endswith('rel="next"')


def test_page_can_send_an_idempotency_key_and_an_etag(ada: Caller):
    task, again = (ada.fetch("POST", body={"title": "Buy milk"}, Idempotency_Key="once") for _ in range(2))
    assert (again.status, again.json()) == (201, task.json())
    path, etag = f"/{task.json()['id']}", task.headers["etag"]
    assert ada.fetch("GET", path, If_None_Match=etag).status == 304
    assert ada.fetch("PUT", path, body={"title": "Buy oats"}, If_Match=etag).status == 200
    stale = ada.fetch("PUT", path, body={"title": "Buy tea"}, If_Match=etag)
    assert (stale.status, stale.json()["title"]) == (412, "The task has changed")


def test_page_can_read_every_problem(ada: Caller, server: Server):
    problems = {
        401: ada.fetch("GET", Authorization="Bearer garbage"),
        403: ada.fetch("GET", "/../../bob/tasks"),
        404: ada.fetch("GET", f"/{MISSING}"),
        413: ada.fetch("POST", body={"title": "milk" * 20_000}),
    }
    with server.database() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))
        problems[503] = ada.fetch("POST", body={"title": "Buy milk"})
    for status, problem in problems.items():
        assert problem.status == problem.json()["status"] == status
        assert problem.headers["x-request-id"] == problem.json()["request_id"]
    assert int(problems[503].headers["retry-after"]) > 0


def test_page_can_read_when_to_retry_after_the_limit(ada: Caller):
    responses = [ada.fetch("GET") for _ in range(REQUESTS_A_MINUTE + 1)]
    assert responses[-1].status == responses[-1].json()["status"] == 429
    assert {"retry-after", "ratelimit", "ratelimit-policy"} <= responses[-1].headers.keys()


def test_page_of_an_origin_that_is_not_allowed_can_neither_call_nor_read(
    frontend: Frontend, server: Server, new_tab: Callable[..., Tab]
):
    tab = new_tab()
    tab.page.goto(frontend.url)  # 127.0.0.1, not the localhost of CORS_ORIGINS
    with pytest.raises(Error, match="Failed to fetch"):
        Caller(tab.page, server, frontend.visitor()).fetch("GET")
    assert "blocked by CORS policy: Response to preflight" in tab.take_errors()
    with pytest.raises(Error, match="Failed to fetch"):
        tab.page.evaluate(FETCH, [f"{server.url}/health/live", {}])
    assert "blocked by CORS policy: No 'Access-Control-Allow-Origin'" in tab.take_errors()


RESTORE = """async (url) => {
    const { createAccounts } = await import("/client/index.js");
    window.accounts = createAccounts({ baseUrl: url, storage: localStorage });
    window.restored = accounts.restore();
}"""
SIGN_UP = "accounts.signUp({ email: 'ada@example.com', password: 'three green parrots' })"
EXPIRE_AND_LOCK = """() => {
    const session = JSON.parse(localStorage["todo-session"]);
    localStorage["todo-session"] = JSON.stringify({ ...session, expires_at: 0 });
    navigator.locks.request("todo-session", () => new Promise((release) => (window.release = release)));
}"""


def test_tabs_that_share_a_session_refresh_it_one_after_the_other(
    frontend: Frontend, folder: Path, new_tab: Callable[..., Tab]
):
    tab = new_tab()
    other = Tab(tab.page.context.new_page())
    database = f"sqlite:///{folder}/accounts.db"
    with run_server(folder, CORS_ORIGINS=frontend.origin, DATABASE_URL=database) as server:
        for one in (tab, other):
            one.page.goto(f"{frontend.origin}/?api={server.url}")
        tab.page.evaluate(RESTORE, server.url)
        tab.page.evaluate(SIGN_UP)
        tab.page.evaluate(EXPIRE_AND_LOCK)
        for one in (tab, other):
            one.page.evaluate(RESTORE, server.url)
        tab.page.wait_for_function("navigator.locks.query().then(({ pending }) => pending.length === 2)")
        assert not [sent for sent in tab.requests + other.requests if sent.url.endswith("/auth/refresh")]
        tab.page.evaluate("release()")
        users = [one.page.evaluate("restored.then((user) => user.email)") for one in (tab, other)]
        tokens = [one.page.evaluate("accounts.token()") for one in (tab, other)]
    assert users == ["ada@example.com"] * 2
    assert all(tokens)
