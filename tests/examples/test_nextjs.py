"""The example of Next.js and Better Auth, built and driven in a browser against the real server."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.ecosystem.better_auth.frontend import as_issuer
from tests.ecosystem.browser.tab import PICTURES, Tab
from tests.support.programs import needed
from tests.support.server import ROOT, Server, eventually, find_free_port, run_server

EXAMPLE = ROOT / "examples" / "nextjs"
MAX_LINES = 500
_numbers = itertools.count(1)
PASSWORD = "three green parrots"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", ""), "NEXT_TELEMETRY_DISABLED": "1"}


@pytest.fixture(scope="module")
def port() -> int:
    return find_free_port()


@pytest.fixture(scope="module")
def server(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The backend, which accepts the tokens of the example."""
    folder = tmp_path_factory.mktemp("todo")
    origin = f"http://localhost:{port}"
    settings = as_issuer(f"http://127.0.0.1:{port}", origin) | {"CORS_ORIGINS": origin}
    with run_server(folder, DATABASE_URL=f"sqlite:///{folder / 'todo.db'}", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def app(server: Server, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the example, built for production."""
    needed("node", package="Node.js 20 or newer")
    next_program = str(EXAMPLE / "node_modules" / ".bin" / "next")
    built = subprocess.run(
        (next_program, "build"), cwd=EXAMPLE, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    url = f"http://localhost:{port}"
    environment = ENVIRONMENT | {"BETTER_AUTH_URL": url, "TODO_URL": server.url}
    log_file = tmp_path_factory.mktemp("next") / "next.log"
    with log_file.open("wb") as log:
        command = ("node", "node_modules/next/dist/bin/next", "start", "--port", str(port))
        process = subprocess.Popen(command, cwd=EXAMPLE, env=environment, stdout=log, stderr=log)
    try:
        assert eventually(lambda: "Ready" in log_file.read_text(), within_s=30), log_file.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


class TasksPage:
    """The page with the tasks of a signed-in user."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.page: Page = tab.page

    def item(self, title: str) -> Locator:
        return self.page.get_by_role("listitem").filter(has_text=title)

    def add(self, title: str) -> None:
        self.page.get_by_label("Title", exact=True).fill(title)
        self.page.get_by_role("button", name="Add").click()

    def edit(self, title: str, new_title: str) -> None:
        self.page.get_by_label(f"Edit {title}").click()
        self.save(new_title)

    def save(self, new_title: str) -> None:
        self.page.get_by_label("New title").fill(new_title)
        self.page.get_by_role("button", name="Save").click()

    def alert(self) -> Locator:
        return self.page.locator("main [role=alert]")


@pytest.fixture
def open_tab(app: str, new_tab: Callable[..., Tab]) -> Callable[..., Tab]:
    """Open the example."""

    def open_tab(**options: Any) -> Tab:
        tab = new_tab(**options)
        tab.page.goto(app)
        return tab

    return open_tab


def sign_up(page: Page, name: str) -> None:
    """Sign up. Better Auth accepts three sign-ups in 10 seconds."""
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    signed_in = page.get_by_role("button", name="Sign out")
    for _ in range(5):
        page.get_by_role("button", name="Sign up").click()
        with suppress(TimeoutError):
            signed_in.wait_for(timeout=4000)
            return
    raise AssertionError("no sign-up is accepted")


@pytest.fixture
def ada(open_tab: Callable[..., Tab]) -> TasksPage:
    """A new user on the page."""
    tab = open_tab()
    sign_up(tab.page, f"ada-{next(_numbers)}")
    return TasksPage(tab)


def test_example_is_short():
    files = [file for folder in ("app", "components", "lib") for file in (EXAMPLE / folder).rglob("*.*")]
    files = [file for file in files if file.is_file()]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) < MAX_LINES


def test_tasks_are_created_toggled_edited_and_deleted(ada: TasksPage):
    for title in ("Buy milk", "Buy oats"):
        ada.add(title)
        expect(ada.item(title)).not_to_have_class("draft")
    ada.page.get_by_label("Complete Buy milk").check()
    ada.edit("Buy oats", "Buy rice")
    expect(ada.item("Buy rice")).to_be_visible()
    PICTURES.mkdir(exist_ok=True)
    ada.tab.save_picture("example")
    ada.page.reload()
    expect(ada.page.get_by_label("Complete Buy milk")).to_be_checked()
    ada.page.get_by_label("Delete Buy rice").click()
    expect(ada.item("Buy rice")).to_have_count(0)
    ada.page.get_by_role("button", name="Delete completed").click()
    expect(ada.page.get_by_text("There are no tasks.")).to_be_visible()


def test_error_is_shown_beside_the_field_in_words(ada: TasksPage):
    ada.add(" ")
    expect(ada.alert()).to_have_text("title: must not be blank")
    expect(ada.page.get_by_role("listitem")).to_have_count(0)
    ada.add("x" * 201)
    expect(ada.alert()).to_have_text("title: at most 200 characters")
    ada.add("Buy milk")
    expect(ada.item("Buy milk")).to_be_visible()
    expect(ada.alert()).to_have_count(0)


def test_two_tabs_stay_in_step_and_an_edit_does_not_overwrite_another(ada: TasksPage):
    ada.add("Buy milk")
    expect(ada.item("Buy milk")).not_to_have_class("draft")
    other = TasksPage(Tab(ada.page.context.new_page()))
    other.page.goto(ada.page.url)
    ada.page.get_by_label("Edit Buy milk").click()
    other.edit("Buy milk", "Buy oats")
    expect(other.item("Buy oats")).to_be_visible()
    ada.save("Buy rice")
    expect(ada.alert()).to_contain_text("This task was changed in the meantime.")
    expect(ada.page.get_by_label("New title")).to_have_value("Buy oats")
    ada.save("Buy oats and rice")
    expect(other.item("Buy oats and rice")).to_be_visible()
    with ada.page.expect_response(lambda response: response.status == 304):
        pass  # an unchanged list has no body


def test_server_that_is_away_is_shown_and_its_return_too(ada: TasksPage):
    ada.add("Buy milk")
    expect(ada.item("Buy milk")).not_to_have_class("draft")
    ada.page.context.set_offline(True)
    status = ada.page.get_by_role("status")
    expect(status).to_be_visible(timeout=30_000)
    ada.page.context.set_offline(False)
    expect(status).to_have_count(0, timeout=30_000)
    ada.add("Buy oats")
    expect(ada.item("Buy oats")).to_be_visible()
    ada.tab.take_errors()


def test_more_than_a_page_is_shown_on_request(ada: TasksPage):
    for number in range(22):
        ada.add(f"task {number}.")
        expect(ada.item(f"task {number}.")).not_to_have_class("draft")
    ada.page.reload()
    expect(ada.page.get_by_role("listitem")).to_have_count(20)
    ada.page.get_by_role("button", name="Show more").click()
    expect(ada.page.get_by_role("listitem")).to_have_count(22)
    expect(ada.page.get_by_role("button", name="Show more")).to_have_count(0)


def test_second_user_in_the_same_page_sees_nothing_of_the_first(ada: TasksPage):
    ada.add("Buy milk")
    expect(ada.item("Buy milk")).not_to_have_class("draft")
    ada.page.get_by_role("button", name="Sign out").click()
    sign_up(ada.page, "second")
    expect(ada.page.get_by_text("There are no tasks.")).to_be_visible()
    ada.add("Buy oats")
    expect(ada.item("Buy oats")).not_to_have_class("draft")


def test_deleted_account_takes_its_tasks_along(ada: TasksPage, server: Server):
    ada.add("The last task")
    expect(ada.item("The last task")).not_to_have_class("draft")
    ada.page.get_by_role("button", name="Delete my account").click()
    ada.page.get_by_role("heading", name="Create an account").wait_for()
    with server.database() as connection:
        titles = connection.exec_driver_sql("SELECT title FROM tasks WHERE title = 'The last task'").all()
    assert titles == []


def test_page_is_readable_on_a_phone(open_tab: Callable[..., Tab]):
    tab = open_tab(viewport={"width": 390, "height": 844}, is_mobile=True)
    sign_up(tab.page, "phone")
    page = TasksPage(tab)
    for title in ("Buy milk", "A task with a title that is too long for one line of a phone"):
        page.add(title)
        expect(page.item(title)).not_to_have_class("draft")
    tab.save_picture("example-phone")
    assert tab.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
