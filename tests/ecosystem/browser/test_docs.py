"""Swagger UI at /docs in a real browser: it needs nothing but this server, and all of it can be tried out.

It leaves pictures in test-output/.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ecosystem.browser.swagger import Shown, Swagger
from tests.ecosystem.browser.tab import PICTURES, Tab
from tests.support.contract_checks import Operation, open_client, operations
from tests.support.places import success
from tests.support.server import Server, run_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts of its own, and no ada@example.com yet."""
    folder = tmp_path_factory.mktemp("docs")
    with run_server(folder, DATABASE_URL=f"sqlite:///{folder / 'todo.db'}") as server:
        yield server


@pytest.fixture(scope="module")
def session(server: Server) -> dict[str, Any]:
    """What logging in answers someone who has just signed up."""
    account = {"email": "grace@example.com", "password": "three green parrots"}
    with open_client(server.url) as http:
        http.post("/api/auth/signup", json=account)
        return dict(http.post("/api/auth/login", json=account).json())


@pytest.fixture
def swagger(server: Server, new_tab: Callable[..., Tab]) -> Swagger:
    """The page, as it is when it has just been opened."""
    return Swagger(new_tab(), server.url)


def test_everything_is_loaded_from_the_server_itself(swagger: Swagger, server: Server):
    swagger.tab.picture("docs")
    assert swagger.tab.origins == {server.url}
    assert swagger.page.title() == "Todo API"


def test_page_may_ask_nobody_else(swagger: Swagger):
    with pytest.raises(Exception, match="Failed to fetch"):
        swagger.page.evaluate("fetch('http://localhost:9')")
    assert "violates the following Content Security Policy directive" in swagger.tab.take_complaints()


def test_script_that_is_written_into_the_page_does_not_run(swagger: Swagger):
    swagger.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
    )
    assert swagger.page.evaluate("window.ran") is None
    assert "violates the following Content Security Policy directive" in swagger.tab.take_complaints()


def test_accounts_stand_before_the_tasks_that_need_one(swagger: Swagger):
    tags = swagger.page.locator(".opblock-tag").evaluate_all("tags => tags.map(tag => tag.dataset.tag)")
    assert tags == ["auth", "tasks", "service"]


def test_every_operation_succeeds_with_what_the_page_suggests(swagger: Swagger):
    ids: dict[str, object] = {}
    for operation in in_the_order_of_a_life(operations()):
        panel = swagger.open(operation.id)
        panel.fill(ids)
        suggested = panel.body.input_value() if operation.body is not None else "null"
        assert json.loads(suggested) == operation.body, operation.id
        answer = panel.execute()
        assert answer.status == success(operation), operation.id
        ids |= learnt(operation.id, answer, swagger)
        panel.fold()


def in_the_order_of_a_life(all_operations: Iterator[Operation]) -> list[Operation]:
    """As they are shown, but that a task is deleted last."""
    return sorted(all_operations, key=lambda operation: operation.method == "DELETE")


def learnt(operation_id: str, answer: Shown, swagger: Swagger) -> dict[str, object]:
    """What a person takes from an answer to the next operation."""
    if operation_id == "auth.login":
        swagger.authorize(answer.json()["access_token"])
        return {"user_id": answer.json()["user"]["id"]}
    return {"task_id": answer.json()["id"]} if operation_id == "tasks.create" else {}


def test_ids_are_not_suggested_since_they_would_be_nobodys(swagger: Swagger):
    panel = swagger.open("tasks.get")
    assert [panel.field(name).input_value() for name in ("user_id", "task_id")] == ["", ""]


def test_created_task_is_shown_with_its_headers_and_so_is_the_next(swagger: Swagger, session: dict[str, Any]):
    swagger.authorize(session["access_token"])
    panel = swagger.open("tasks.create")
    panel.fill({"user_id": session["user"]["id"]})
    shown = panel.execute()
    with swagger.page.expect_response("**/tasks") as again:
        panel.press()
    assert (shown.status, again.value.status) == (201, 201)
    assert again.value.json()["id"] > shown.json()["id"]
    assert shown.headers["location"].endswith(f"/tasks/{shown.json()['id']}")
    assert shown.headers["etag"] == '"1"'
    panel.picture(PICTURES / "docs-created.png")


def test_reloading_keeps_the_authorization(swagger: Swagger, session: dict[str, Any]):
    swagger.authorize(session["access_token"])
    swagger.page.reload()
    panel = swagger.open("tasks.list")
    panel.fill({"user_id": session["user"]["id"]})
    assert panel.execute().status == 200


def test_wrong_login_shows_the_problem(swagger: Swagger):
    panel = swagger.open("auth.login")
    panel.fill_body(email="nobody@example.com", password="three green parrots")
    answer = panel.execute()
    assert answer.status == 401
    assert answer.json()["detail"] == "No account has this email and password."


def test_authorization_says_what_to_paste(swagger: Swagger):
    swagger.open_authorization()
    swagger.tab.picture("docs-authorize")
    assert "access_token" in swagger.dialog.inner_text()


def test_phone_shows_it_without_scrolling_sideways(server: Server, new_tab: Callable[..., Tab]):
    swagger = Swagger(new_tab(viewport={"width": 390, "height": 844}, is_mobile=True), server.url)
    swagger.tab.picture("docs-phone")
    assert swagger.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
