"""Send requests to the API as the script of a page does, and read what the browser shows the script."""

import json
from typing import Any, NamedTuple

from playwright.sync_api import Page

from tests.ecosystem.better_auth.frontend import Visitor
from tests.support.server import Server

FETCH = """async ([url, options]) => {
    const response = await fetch(url, options);
    return [response.status, Object.fromEntries(response.headers), await response.text()];
}"""


class Readable(NamedTuple):
    """What the script of a page can read of a response."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """A user of Better Auth. The page has a token of theirs."""

    def __init__(self, page: Page, server: Server, visitor: Visitor) -> None:
        self.page = page
        self.tasks = f"{server.url}/api/{visitor.id}/tasks"
        self.headers = {"Authorization": f"Bearer {visitor.token()}", "Content-Type": "application/json"}

    def fetch(self, method: str, path: str = "", *, body: Any = None, **headers: str) -> Readable:
        """Send a request to a path below the user's tasks. `If_Match=...` is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options = {"method": method, "headers": self.headers | named, "credentials": "include"}
        options |= {"body": json.dumps(body)} if body is not None else {}
        return Readable(*self.page.evaluate(FETCH, [self.tasks + path, options]))


def watch_preflights(page: Page) -> list[tuple[str, int]]:
    """Return a list that grows with each preflight request: its method and its status.

    Playwright does not show them.
    """
    methods: dict[str, str] = {}
    preflights: list[tuple[str, int]] = []

    def note_request(event: dict[str, Any]) -> None:
        headers = event["request"]["headers"]
        methods[event["requestId"]] = headers.get("Access-Control-Request-Method", "")

    def note_response(event: dict[str, Any]) -> None:
        if event["type"] == "Preflight":
            preflights.append((methods[event["requestId"]], event["response"]["status"]))

    developer_tools = page.context.new_cdp_session(page)
    developer_tools.on("Network.requestWillBeSent", note_request)
    developer_tools.on("Network.responseReceived", note_response)
    developer_tools.send("Network.enable")
    return preflights
