"""Three newcomers who only click what is on their screen: each tour to its end, within three minutes."""

import time
from collections.abc import Callable

import pytest
from helpers import WAIT_MS, settle
from playwright.sync_api import Page, expect

from pages.shared.tours.places import PLACES
from pages.shared.tours.steps import TOURS

MOST_SECONDS = 180
WATCH_MS = 1000
# Whether the part of this key, and no other, is ringed, and is whole or fills most of what the card leaves free.
IN_SIGHT = """(key) => {
    const ringed = [...document.querySelectorAll("[data-spotlight]")];
    if (ringed.length !== 1 || !ringed[0].classList.contains(`st-key-${key}`)) return false;
    const { top, bottom, height } = ringed[0].getBoundingClientRect();
    const above = document.querySelector(".st-key-tour").getBoundingClientRect().bottom;
    const seen = Math.min(bottom, innerHeight) - Math.max(top, above);
    return seen >= Math.min(height, 0.8 * (innerHeight - above)) - 1;
}"""
# The keys of all that is ringed within so many milliseconds.
RINGED = """async (time) => {
    const keys = new Set(), end = performance.now() + time;
    while (performance.now() < end) {
        for (const { className } of document.querySelectorAll("[data-spotlight]"))
            keys.add(className.match(/st-key-([\\w-]+)/)[1]);
        await new Promise(requestAnimationFrame);
    }
    return [...keys];
}"""


def walk(page: Page, key: str) -> None:
    """From Home through every step; what each speaks of is ringed and in sight."""
    page.get_by_role("button", name=f"Start the {key}’s tour").click()
    for number, step in enumerate(TOURS[key].steps, 1):
        card = page.locator(".st-key-tour")
        expect(card.get_by_role("heading", name=step.title, exact=True)).to_be_visible(timeout=WAIT_MS)
        settle(page)
        page.wait_for_function(IN_SIGHT, arg=PLACES[step.focus].key, timeout=WAIT_MS)
        assert set(page.evaluate(RINGED, WATCH_MS)) == {PLACES[step.focus].key}
        if number < len(TOURS[key].steps):
            card.get_by_role("button", name="Next").click()
    expect(page.get_by_text("What next?")).to_be_visible()


@pytest.mark.parametrize("key", TOURS)
def test_a_newcomer_finishes_the_tour(open_app: Callable[[], Page], key: str) -> None:
    page, began = open_app(), time.monotonic()
    walk(page, key)
    main = page.get_by_test_id("stMain")
    if key == "educator":
        main.locator(".st-key-attack button").click()
        expect(main.get_by_role("button", name="Attack again")).to_be_visible(timeout=WAIT_MS)
    if key == "reviewer":
        main.locator(".st-key-audit-start button").click()
        with page.expect_download(timeout=MOST_SECONDS * 1000) as report:
            main.get_by_role("button", name="Report (HTML)").click(timeout=MOST_SECONDS * 1000)
        assert report.value.suggested_filename.endswith(".html")
    page.locator(".st-key-tour").get_by_role("button", name="Finish").click()
    expect(page.locator(".st-key-tour")).to_have_count(0, timeout=WAIT_MS)
    assert time.monotonic() - began <= MOST_SECONDS
