"""One browser for every test, and a profile of its own for each."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.ecosystem.browser.tab import Tab
from tests.support import programs


# Not of the session: while Playwright runs, no other test in this process can have an event loop.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The Chromium of the system."""
    program = programs.needed("chromium", "chromium-browser", "google-chrome", package="chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to be root in one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Open an empty page. The test fails when a page reports an error."""
    tabs: list[Tab] = []

    def new_tab(**options: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(15_000)
        tabs.append(Tab(context.new_page()))
        return tabs[-1]

    yield new_tab
    for tab in tabs:
        tab.page.context.close()
    assert [error for tab in tabs for error in tab.errors] == []
