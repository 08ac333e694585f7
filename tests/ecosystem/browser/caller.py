"""What the script of a page can ask of the API, and read of its answers."""

import json
from typing import Any, NamedTuple

from playwright.sync_api import Page

from tests.ecosystem.better_auth.frontend import Visitor
from tests.support.server import Server

FETCH = """async ([url, options]) => {
    const answer = await fetch(url, options);
    return [answer.status, Object.fromEntries(answer.headers), await answer.text()];
}"""


class Read(NamedTuple):
    """What the page's script can read of an answer."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Someone of Better Auth's whose token a page has."""

    def __init__(self, page: Page, server: Server, visitor: Visitor) -> None:
        self.page = page
        self.tasks = f"{server.url}/api/{visitor.id}/tasks"
        self.headers = {"Authorization": f"Bearer {visitor.token()}", "Content-Type": "application/json"}

    def fetch(self, method: str, path: str = "", *, body: Any = None, **headers: str) -> Read:
        """What the page reads when it asks for this, relative to their tasks; If_Match=... is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options = {"method": method, "headers": self.headers | named, "credentials": "include"}
        options |= {"body": json.dumps(body)} if body is not None else {}
        return Read(*self.page.evaluate(FETCH, [self.tasks + path, options]))


def watched_preflights(page: Page) -> list[tuple[str, int]]:
    """The method each preflight asks for, with its status; Playwright keeps them to itself."""
    asked: dict[str, str] = {}
    answered: list[tuple[str, int]] = []

    def note_request(event: dict[str, Any]) -> None:
        headers = event["request"]["headers"]
        asked[event["requestId"]] = headers.get("Access-Control-Request-Method", "")

    def note_answer(event: dict[str, Any]) -> None:
        if event["type"] == "Preflight":
            answered.append((asked[event["requestId"]], event["response"]["status"]))

    developer_tools = page.context.new_cdp_session(page)
    developer_tools.on("Network.requestWillBeSent", note_request)
    developer_tools.on("Network.responseReceived", note_answer)
    developer_tools.send("Network.enable")
    return answered
