"""Use Swagger UI as a user does: by the texts on the page."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Locator

from tests.ecosystem.browser.tab import Tab


class Shown(NamedTuple):
    """A response as Swagger UI shows it."""

    status: int
    body: str
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


class Swagger:
    """The page at /docs of a server."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self.page = tab.page
        self.page.goto(f"{url}/docs")
        self.page.locator(".opblock").first.wait_for()

    def authorize(self, token: str) -> None:
        """Type a token into the dialog."""
        self.open_authorization()
        self.dialog.get_by_role("textbox").fill(token)
        self.dialog.get_by_role("button", name="Authorize").click()
        self.close_authorization()

    def open_authorization(self) -> None:
        self.page.get_by_role("button", name="Authorize", exact=True).first.click()
        self.dialog.wait_for()

    def close_authorization(self) -> None:
        self.dialog.get_by_role("button", name="Close", exact=True).click()

    @property
    def dialog(self) -> Locator:
        return self.page.locator(".modal-ux")

    def open(self, operation_id: str) -> "Panel":
        """Unfold an operation."""
        tag, name = operation_id.split(".")
        panel = Panel(self.page.locator(f'[id="operations-{tag}-{tag}\\\\.{name}"]'))
        panel.toggle()
        panel.button.wait_for()  # the fields appear with it
        return panel


class Panel:
    """An unfolded operation."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.body = root.locator("textarea.body-param__text")
        self.button = root.get_by_role("button", name="Execute")
        self.response = root.locator(".live-responses-table tr.response")
        self._convert: dict[str, object] = {}

    def toggle(self) -> None:
        """Fold or unfold the operation."""
        self.root.locator(".opblock-summary-control").click()

    def field(self, parameter: str) -> Locator:
        return self.root.get_by_placeholder(parameter, exact=True)

    def fill(self, parameters: dict[str, object]) -> None:
        """Type these parameters into the fields that the operation has."""
        for name, value in parameters.items():
            if self.field(name).count():
                self.field(name).fill(str(value))
        self._convert = parameters

    def press(self) -> None:
        """Press Execute. Fill and press again when Swagger UI has drawn the fields anew, as it does once."""
        missing = self.root.locator(".validation-errors")
        self.button.click()
        self.response.or_(missing).first.wait_for()
        if missing.count():
            self.fill(self._convert)
            self.press()

    def execute(self) -> Shown:
        """Press Execute and return the response that is shown."""
        self.press()
        status = self.response.locator(".response-col_status").inner_text()
        body = self.response.locator(".highlight-code code")
        lines = self.response.locator(".headerline").all_inner_texts()
        headers = {name: value for name, _, value in (line.strip().partition(": ") for line in lines)}
        return Shown(int(status.split()[0]), body.inner_text() if body.count() else "", headers)

    def save_picture(self, file: Path) -> None:
        """Save a picture down to the response, without the command for curl, which holds the token."""
        rest = ".curl-command, .request-url, .responses-table:not(.live-responses-table), h4:last-of-type"
        parts = self.root.locator(".responses-inner").locator(rest)
        parts.evaluate_all("parts => parts.forEach((part) => { part.style.display = 'none' })")
        self.root.screenshot(path=file)
