"""A page in Chromium that can import the TypeScript client: from another origin, and without https."""

import contextlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests import programs
from tests.server import ROOT

HOST = "frontend.test"  # not localhost, which browsers trust as if it were https
IMPORTS = {
    "todo-client": "/clients/typescript/dist/index.js",
    "openapi-fetch": "/node_modules/openapi-fetch/dist/index.mjs",
}


class Files(SimpleHTTPRequestHandler):
    """The frontend's files: whatever lies here."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def frontend() -> Iterator[str]:
    """Serves these files; gives the origin that the browser knows them by."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=ROOT)) as files:
        threading.Thread(target=files.serve_forever).start()
        try:
            yield f"http://{HOST}:{files.server_port}"
        finally:
            files.shutdown()


@contextlib.contextmanager
def page_of(origin: str) -> Iterator[Page]:
    """An empty page from there, where `import("todo-client")` works as with a bundler."""
    chromium = programs.needed("chromium", "chromium-browser", "google-chrome", package="chromium")
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page()
        page.goto(origin)
        page.set_content(f'<script type="importmap">{json.dumps({"imports": IMPORTS})}</script>')
        yield page
        browser.close()
