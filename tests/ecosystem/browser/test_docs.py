"""Swagger UI at /docs in a real browser: it needs only this server, and every operation works there.

The pictures of the README are made here, in test-output/.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.better_auth.frontend import as_issuer
from tests.ecosystem.browser.swagger import Shown, Swagger
from tests.ecosystem.browser.tab import PICTURES, Tab
from tests.support.contract_checks import open_client, operations
from tests.support.server import Server, run_server
from tests.support.users import SECRET


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with its own accounts, but without ada@example.com."""
    folder = tmp_path_factory.mktemp("docs")
    with run_server(folder, DATABASE_URL=f"sqlite:///{folder / 'todo.db'}") as server:
        yield server


@pytest.fixture(scope="module")
def session(server: Server) -> dict[str, Any]:
    """The response to a login."""
    account = {"email": "grace@example.com", "password": "three green parrots"}
    with open_client(server.url) as http:
        http.post("/api/auth/signup", json=account)
        return dict(http.post("/api/auth/login", json=account).json())


@pytest.fixture
def swagger(server: Server, new_tab: Callable[..., Tab]) -> Swagger:
    """The page as it is when it has just been opened."""
    return Swagger(new_tab(), server.url)


def test_page_loads_from_the_server_alone_and_begins_with_the_accounts(swagger: Swagger, server: Server):
    swagger.tab.save_picture("docs")
    assert swagger.tab.origins == {server.url}
    assert swagger.page.title() == "Todo API"
    tags = swagger.page.locator(".opblock-tag").evaluate_all("tags => tags.map(tag => tag.dataset.tag)")
    assert tags == ["auth", "tasks", "service"]
    swagger.open_authorization()
    swagger.tab.save_picture("docs-authorize")
    assert "access_token" in swagger.dialog.inner_text()
    swagger.close_authorization()
    panel = swagger.open("tasks.get")  # ids of no user: none are suggested
    assert [panel.field(name).input_value() for name in ("user_id", "task_id")] == ["", ""]


def test_root_redirects_to_the_page(server: Server, new_tab: Callable[..., Tab]):
    tab = new_tab()
    response = tab.page.goto(f"{server.url}/")
    assert response is not None
    assert (response.status, tab.page.url) == (200, f"{server.url}/docs/")


STEPS = {
    "accounts": ({}, "Create an account with POST /api/auth/signup."),
    "jwks": (as_issuer("http://localhost:9"), "Sign in to the application that signs the tokens"),
    "secret": ({"BETTER_AUTH_SECRET": SECRET}, "Sign in to the application that shares its secret"),
}


@pytest.mark.parametrize("issuer", STEPS)
def test_first_steps_are_those_of_the_issuer(folder: Path, new_tab: Callable[..., Tab], issuer: str):
    settings, step = STEPS[issuer]
    with run_server(folder, DATABASE_URL=f"sqlite:///{folder / issuer}.db", **settings) as server:
        shown = Swagger(new_tab(), server.url).page.locator("#first-steps").inner_text()
    assert step in shown
    assert [other for other in STEPS if other != issuer and STEPS[other][1] in shown] == []


def test_response_other_than_2xx_is_one_line_until_it_is_opened(swagger: Swagger):
    panel = swagger.open("tasks.create")
    rows = panel.root.locator("tr.response")
    folded = rows.filter(has=swagger.page.get_by_role("button", expanded=False))
    assert rows.count() - folded.count() == 1
    folded.filter(has_text="422").get_by_role("button").click()
    panel.root.get_by_text("urn:todo:problem:key-reused").first.wait_for()


def test_user_of_the_token_is_filled_in_also_after_a_reload(swagger: Swagger, session: dict[str, Any]):
    swagger.authorize(session["access_token"])
    for operation_id in ("tasks.list", "tasks.create"):
        panel = swagger.open(operation_id)
        assert panel.field("user_id").input_value() == session["user"]["id"]
        panel.toggle()
    swagger.page.reload()
    panel = swagger.open("tasks.list")
    assert panel.execute().status == 200


def test_page_can_neither_call_another_server_nor_run_an_injected_script(swagger: Swagger):
    violation = "violates the following Content Security Policy directive"
    with pytest.raises(Exception, match="Failed to fetch"):
        swagger.page.evaluate("fetch('http://localhost:9')")
    assert violation in swagger.tab.take_errors()
    swagger.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
    )
    assert swagger.page.evaluate("window.ran") is None
    assert violation in swagger.tab.take_errors()


def test_every_operation_succeeds_with_the_suggested_values(swagger: Swagger):
    ids: dict[str, object] = {}
    bodies: dict[str, Any] = {"auth.delete_account": {"password": "four blue parrots"}}  # after its change
    # As the page shows them, except that tasks and the account are deleted last.
    for operation in sorted(operations(), key=lambda found: LAST.index(found.id) if found.id in LAST else -1):
        panel = swagger.open(operation.id)
        panel.fill(ids)
        suggested = panel.body.input_value() if operation.body is not None else "null"
        assert json.loads(suggested) == operation.body, operation.id
        if operation.id in bodies:
            panel.body.fill(json.dumps(bodies[operation.id]))
        shown = panel.execute()
        assert shown.status == operation.success, operation.id
        ids |= read_ids(operation.id, shown, swagger)
        if operation.id == "auth.login":
            token = {"refresh_token": shown.json()["refresh_token"]}
            bodies |= {"auth.refresh": token, "auth.logout": token}
        panel.toggle()


LAST = ("tasks.delete", "tasks.clear", "auth.delete_account")


def read_ids(operation_id: str, shown: Shown, swagger: Swagger) -> dict[str, object]:
    """Return what a user copies from a response into the next operation."""
    if operation_id == "auth.login":
        swagger.authorize(shown.json()["access_token"])
        return {"user_id": shown.json()["user"]["id"]}
    return {"task_id": shown.json()["id"]} if operation_id == "tasks.create" else {}


def test_created_task_is_shown_with_its_headers(swagger: Swagger, session: dict[str, Any]):
    swagger.authorize(session["access_token"])
    panel = swagger.open("tasks.create")
    shown = panel.execute()
    panel.save_picture(PICTURES / "docs-created.png")
    with swagger.page.expect_response("**/tasks") as again:
        panel.press()
    assert (shown.status, again.value.status) == (201, 201)
    assert again.value.json()["id"] > shown.json()["id"]
    assert shown.headers["location"].endswith(f"/tasks/{shown.json()['id']}")
    assert shown.headers["etag"] == '"1"'


def test_wrong_login_shows_the_problem(swagger: Swagger):
    panel = swagger.open("auth.login")
    panel.body.fill(json.dumps({"email": "missing@example.com", "password": "three green parrots"}))
    shown = panel.execute()
    assert shown.status == 401
    assert shown.json()["detail"] == "No account has this email and password."


def test_page_fits_on_a_phone(server: Server, new_tab: Callable[..., Tab]):
    swagger = Swagger(new_tab(viewport={"width": 390, "height": 844}, is_mobile=True), server.url)
    swagger.tab.save_picture("docs-phone")
    panel = swagger.open("tasks.create")
    assert swagger.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    panel.root.screenshot(path=PICTURES / "docs-phone-operation.png")
    parts = panel.root.locator(".parameters-col_description, .response-col_description, .body-param__text")
    widths = parts.evaluate_all("parts => parts.map((part) => part.getBoundingClientRect().right)")
    assert max(widths) <= 390
