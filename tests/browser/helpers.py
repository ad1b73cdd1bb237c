"""What a visitor does in the browser."""

import re
import time

from playwright.sync_api import Locator, Page, TimeoutError, expect

# Generous: two cores that other work shares must not make a test fail.
WAIT_MS = 60_000


def upload(page: Page, name: str, content: bytes) -> None:
    """Put a file into the sidebar's uploader; not while the page is still being drawn, which may replace it."""
    settle(page)
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.get_by_test_id("stSidebar").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)


def decision(page: Page, name: str) -> str:
    """Wait for the result of the scan of this name; the text of its decision card."""
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=WAIT_MS)
    settle(page)
    card = page.locator(".st-key-decision")
    # Its first and its last line: a busy browser still draws when the script has ended.
    expect(card).to_contain_text(re.compile("confidence|No answer"), timeout=WAIT_MS)
    expect(card).to_contain_text("seed", timeout=WAIT_MS)
    return card.inner_text()


def choose(field: Locator, words: str | re.Pattern[str]) -> None:
    """Choose from a list. A page that is being drawn may close the list again: then it is opened anew."""
    option = field.page.get_by_role("option").filter(has_text=words).first
    for _ in range(5):
        settle(field.page)
        field.click(timeout=WAIT_MS)
        try:
            option.click(timeout=5000)
            return
        except TimeoutError:
            field.page.keyboard.press("Escape")
    raise AssertionError(f"No option says {words}.")


def settle(page: Page) -> None:
    """Wait until the script has ended and stays ended."""
    ended, deadline = 0, time.monotonic() + WAIT_MS / 1000
    while ended < 3:
        assert time.monotonic() < deadline, "The page did not come to rest."
        page.wait_for_timeout(150)
        state = page.get_by_test_id("stApp").get_attribute("data-test-script-state")
        ended = ended + 1 if state == "notRunning" else 0


def press_stop(page: Page) -> str:
    """Press Stop; what the progress bar said in that very moment, as a busy machine brings a mouse there late."""
    script = "(button) => { const said = document.querySelector('[data-testid=stProgress]').innerText; button.click();"
    return page.locator(".st-key-stop button").evaluate(script + " return said; }")


def at(canvas: Locator, across: float, down: float) -> tuple[float, float]:
    """A place on the screen, in shares of the picture."""
    box = canvas.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def drag(canvas: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of the picture to another, with the button held."""
    canvas.page.mouse.move(*at(canvas, *start))
    canvas.page.mouse.down()
    canvas.page.mouse.move(*at(canvas, *end), steps=4)
    canvas.page.mouse.up()
