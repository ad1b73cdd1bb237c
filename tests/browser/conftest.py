"""The real app on a free port, and a real Chromium that looks at it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

# The helpers are a plain module beside the tests.
sys.path.insert(0, str(Path(__file__).parent))
from helpers import WAIT_MS  # noqa: E402

from tests.app_server import Server, start_server  # noqa: E402

expect.set_options(timeout=WAIT_MS)  # a busy browser still draws when the script has ended


def chromium_path() -> str | None:
    """A Chromium on this machine: the system's, else Playwright's own."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all browser tests."""
    process, running = start_server()
    yield running
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all browser tests. In CI its absence is a failure, not a reason to pass."""
    path = chromium_path()
    if path is None:
        reason = "There is no Chromium on this machine, so the browser tests could not run."
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_app(browser: Browser, server: Server) -> Iterator[Callable[[], Page]]:
    """Open the app as a new visitor who has read the notice; each call is another visitor."""
    contexts = []

    def open_page() -> Page:
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 900}))
        contexts[-1].set_default_timeout(WAIT_MS)
        page = contexts[-1].new_page()
        page.goto(server.url)
        page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
        expect(page.get_by_text("Sample scans")).to_be_visible(timeout=WAIT_MS)
        return page

    yield open_page
    for context in contexts:
        context.close()
