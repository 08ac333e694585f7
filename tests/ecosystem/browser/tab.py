"""A page of a real browser, with all that it asked for and all that it complained of."""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

from tests.support.server import ROOT

PICTURES = ROOT / "test-output"


class Tab:
    """A page under watch from its first request on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._said)

    @property
    def origins(self) -> set[str]:
        """Everywhere it has sent a request to."""
        parts = [urlsplit(request.url) for request in self.requests]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme != "data"}

    def take_complaints(self) -> str:
        """What it complained of, for a test that is about just that."""
        taken, self.complaints = self.complaints, []
        return "\n".join(taken)

    def picture(self, name: str) -> None:
        """What is in view, for people to look at."""
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def _failed(self, request: Request) -> None:
        self.complaints.append(f"{request.method} {request.url}: {request.failure}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _is_about_an_answer(message):
            self.complaints.append(message.text)


def _is_about_an_answer(message: ConsoleMessage) -> bool:
    """Chromium calls every 4xx an error; of the API's, the test itself says which it wants."""
    is_status = message.text.startswith("Failed to load resource: the server responded with a status of")
    return is_status and urlsplit(message.location["url"]).path.startswith("/api/")
