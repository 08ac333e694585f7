"""Swagger UI, used as a person uses it: by what is written on the page."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Locator

from tests.ecosystem.browser.tab import Tab


class Shown(NamedTuple):
    """An answer as Swagger UI shows it."""

    status: int
    body: str
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


class Swagger:
    """The page at /docs of a server, open in a tab."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self.page = tab.page
        self.page.goto(f"{url}/docs")
        self.page.locator(".opblock").first.wait_for()

    def authorize(self, token: str) -> None:
        """Give it a token, by its dialog."""
        self.open_authorization()
        self.dialog.get_by_role("textbox").fill(token)
        self.dialog.get_by_role("button", name="Authorize").click()
        self.dialog.get_by_role("button", name="Close", exact=True).click()

    def open_authorization(self) -> None:
        self.page.get_by_role("button", name="Authorize", exact=True).first.click()
        self.dialog.wait_for()

    @property
    def dialog(self) -> Locator:
        return self.page.locator(".modal-ux")

    def open(self, operation_id: str) -> "Panel":
        """Unfold an operation."""
        tag, name = operation_id.split(".")
        panel = Panel(self.page.locator(f'[id="operations-{tag}-{tag}\\\\.{name}"]'))
        panel.fold()
        panel.button.wait_for()  # with it come the fields
        return panel


class Panel:
    """An operation, unfolded."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.body = root.locator("textarea.body-param__text")
        self.button = root.get_by_role("button", name="Execute")
        self.answer = root.locator(".live-responses-table tr.response")
        self._typed: dict[str, object] = {}

    def fold(self) -> None:
        """Or unfold."""
        self.root.locator(".opblock-summary-control").click()

    def field(self, parameter: str) -> Locator:
        return self.root.get_by_placeholder(parameter, exact=True)

    def fill(self, parameters: dict[str, object]) -> None:
        """Type these where it asks for them."""
        for name, value in parameters.items():
            if self.field(name).count():
                self.field(name).fill(str(value))
        self._typed = parameters

    def fill_body(self, **members: object) -> None:
        self.body.fill(json.dumps(members))

    def press(self) -> None:
        """And again, where it was drawn anew since, with empty fields: it is, once, after opening."""
        missing = self.root.locator(".validation-errors")
        self.button.click()
        self.answer.or_(missing).first.wait_for()
        if missing.count():
            self.fill(self._typed)
            self.press()

    def execute(self) -> Shown:
        """Press the button, and read the answer that is shown then."""
        self.press()
        answer = self.answer
        status = answer.locator(".response-col_status").inner_text()
        body = answer.locator(".highlight-code code")
        lines = answer.locator(".headerline").all_inner_texts()
        headers = {name: value for name, _, value in (line.strip().partition(": ") for line in lines)}
        return Shown(int(status.split()[0]), body.inner_text() if body.count() else "", headers)

    def picture(self, file: Path) -> None:
        """Itself down to the answer, without the command for curl, which holds the token."""
        rest = ".curl-command, .request-url, .responses-table:not(.live-responses-table), h4:last-of-type"
        parts = self.root.locator(".responses-inner").locator(rest)
        parts.evaluate_all("parts => parts.forEach((part) => { part.style.display = 'none' })")
        self.root.screenshot(path=file)
