"""The browser of the examples."""

from tests.ecosystem.browser.conftest import browser, new_tab

__all__ = ["browser", "new_tab"]
