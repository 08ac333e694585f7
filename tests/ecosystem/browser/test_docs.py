"""Swagger UI at /docs in a real browser: it needs only this server, and every operation works there.

The pictures of the README are made here, in test-output/.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ecosystem.browser.swagger import Shown, Swagger
from tests.ecosystem.browser.tab import PICTURES, Tab
from tests.support.contract_checks import open_client, operations
from tests.support.server import Server, run_server


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
    # As the page shows them, except that a task is deleted last.
    for operation in sorted(operations(), key=lambda operation: operation.method == "DELETE"):
        panel = swagger.open(operation.id)
        panel.fill(ids)
        suggested = panel.body.input_value() if operation.body is not None else "null"
        assert json.loads(suggested) == operation.body, operation.id
        shown = panel.execute()
        assert shown.status == operation.success, operation.id
        ids |= read_ids(operation.id, shown, swagger)
        panel.toggle()


def read_ids(operation_id: str, shown: Shown, swagger: Swagger) -> dict[str, object]:
    """Return what a user copies from a response into the next operation."""
    if operation_id == "auth.login":
        swagger.authorize(shown.json()["access_token"])
        return {"user_id": shown.json()["user"]["id"]}
    return {"task_id": shown.json()["id"]} if operation_id == "tasks.create" else {}


def test_created_task_is_shown_with_its_headers_and_a_reload_keeps_the_authorization(
    swagger: Swagger, session: dict[str, Any]
):
    user = {"user_id": session["user"]["id"]}
    swagger.authorize(session["access_token"])
    panel = swagger.open("tasks.create")
    panel.fill(user)
    shown = panel.execute()
    panel.save_picture(PICTURES / "docs-created.png")
    with swagger.page.expect_response("**/tasks") as again:
        panel.press()
    assert (shown.status, again.value.status) == (201, 201)
    assert again.value.json()["id"] > shown.json()["id"]
    assert shown.headers["location"].endswith(f"/tasks/{shown.json()['id']}")
    assert shown.headers["etag"] == '"1"'
    swagger.page.reload()
    panel = swagger.open("tasks.list")
    panel.fill(user)
    assert panel.execute().status == 200


def test_wrong_login_shows_the_problem(swagger: Swagger):
    panel = swagger.open("auth.login")
    panel.body.fill(json.dumps({"email": "missing@example.com", "password": "three green parrots"}))
    shown = panel.execute()
    assert shown.status == 401
    assert shown.json()["detail"] == "No account has this email and password."


def test_page_fits_on_a_phone(server: Server, new_tab: Callable[..., Tab]):
    swagger = Swagger(new_tab(viewport={"width": 390, "height": 844}, is_mobile=True), server.url)
    swagger.tab.save_picture("docs-phone")
    assert swagger.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
