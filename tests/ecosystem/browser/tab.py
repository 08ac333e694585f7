"""A page of a real browser, with the requests that it sends and the errors that it reports."""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

from tests.support.server import ROOT

PICTURES = ROOT / "test-output"


class Tab:
    """A page that is watched from its first request on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[Request] = []
        self.errors: list[str] = []
        page.on("request", lambda sent: self.requests.append(sent))  # noqa: PLW0108 - Playwright marks it
        page.on("requestfailed", self._note_failure)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note_message)

    @property
    def origins(self) -> set[str]:
        """Every origin that the page has sent a request to."""
        parts = [urlsplit(request.url) for request in self.requests]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme != "data"}

    def take_errors(self) -> str:
        """Return and clear the errors, for a test that expects some."""
        taken, self.errors = self.errors, []
        return "\n".join(taken)

    def save_picture(self, name: str) -> None:
        """Save what is in view as test-output/`name`.png."""
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def _note_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left or reloaded before it had loaded
            self.errors.append(f"{request.method} {request.url}: {request.failure}")

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _is_about_a_status(message):
            self.errors.append(message.text)


def _is_about_a_status(message: ConsoleMessage) -> bool:
    """Return whether Chromium reports a 4xx or 5xx of the API, which tests check themselves."""
    is_status = message.text.startswith("Failed to load resource: the server responded with a status of")
    return is_status and urlsplit(message.location["url"]).path.startswith("/api/")
