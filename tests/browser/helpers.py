"""What a visitor does in the browser."""

import time

from playwright.sync_api import Page, expect

# Generous: two cores that other work shares must not make a test fail.
WAIT_MS = 60_000


def upload(page: Page, name: str, content: bytes) -> None:
    """Put a file into the sidebar's uploader; not while the page is still being drawn, which may replace it."""
    settle(page)
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)


def decision(page: Page, name: str) -> str:
    """Wait for the result of the scan of this name; the text of its decision card."""
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=WAIT_MS)
    settle(page)
    card = page.locator(".st-key-decision")
    # Its last line: a busy browser still draws when the script has ended.
    expect(card).to_contain_text("seed", timeout=WAIT_MS)
    return card.inner_text()


def settle(page: Page) -> None:
    """Wait until the script has ended and stays ended."""
    ended, deadline = 0, time.monotonic() + WAIT_MS / 1000
    while ended < 3:
        assert time.monotonic() < deadline, "The page did not come to rest."
        page.wait_for_timeout(150)
        state = page.get_by_test_id("stApp").get_attribute("data-test-script-state")
        ended = ended + 1 if state == "notRunning" else 0
