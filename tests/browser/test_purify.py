"""The Purify page in a real browser: an attacked copy carried over, two methods watched, the label that comes back."""

import re
from collections.abc import Callable
from pathlib import Path

from helpers import WAIT_MS, choose, press_stop, settle, upload
from playwright.sync_api import Page, expect

from core.scans import load_scan

Visit = Callable[[], Page]
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"
STOP_SECONDS = 1.0
LAG_SECONDS = 3.0
# As the browser sees it: milliseconds from the click to the first estimate, and to the result with its keys.
STOPWATCH = """() => {
    const times = window.times = {};
    const estimates = () => [...document.querySelectorAll('[data-testid=stMain] img')]
        .filter(img => img.alt.startsWith('Estimate') && img.complete && img.naturalWidth).length;
    const look = () => {
        const since = performance.now() - times.click;
        if (times.click && estimates()) {
            times.first ??= since;
            if (document.querySelector('.st-key-purify-play')) times.all = since;
        }
        if (!times.all) requestAnimationFrame(look);
    };
    addEventListener('click', () => { times.click = performance.now(); }, {capture: true, once: true});
    look();
}"""


def go(page: Page, name: str) -> None:
    """Another page; the sidebar's link, as Home has links of its own."""
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=name).click()
    settle(page)


def section(page: Page, name: str) -> None:
    page.locator(".st-key-purify-section").get_by_text(name, exact=True).click()
    settle(page)


def carried_over(page: Page) -> None:
    """Attack the sample on the Attack page, and have its copy open on the Purify page."""
    go(page, "Attack")
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    expect(page.locator(".st-key-attack button")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.locator(".st-key-attack button").click()
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    go(page, "Purify")
    expect(page.get_by_text("Its clean original is known")).to_be_visible(timeout=WAIT_MS)
    settle(page)


def expect_answers(page: Page, *labels: str) -> None:
    """That the stage says these large, a method each."""
    settle(page)
    stage = page.get_by_role("heading", level=2).filter(has_text=" · ")
    expect(stage).to_have_text([re.compile(f"^{label} · ") for label in labels])


def test_the_diagnosis_comes_back_and_can_be_walked_through(open_app: Visit, tmp_path: Path) -> None:
    page = open_app()
    carried_over(page)
    expect(page.locator(".st-key-story h3")).to_have_text(["Tumour", "No tumour", "Tumour"])
    page.evaluate(STOPWATCH)
    page.locator(".st-key-purify button").click()
    times = page.wait_for_function("times.all && times", timeout=WAIT_MS).json_value()
    print(f"First frame {times['first']:.0f} ms, all {times['all']:.0f} ms after the click")
    # What an idle machine does in 300 and 1,500 ms; a busy one must not fail.
    assert times["first"] < 3_000 and times["all"] < 15_000
    main = page.get_by_test_id("stMain")
    expect_answers(page, "Tumour", "Tumour")
    expect(page.get_by_text("the diagnosis comes back at step 1 of 4")).to_be_visible()

    slider = main.get_by_role("slider").first
    slider.focus()
    slider.press("Home")
    expect_answers(page, "No tumour", "No tumour")
    slider.press("ArrowRight")  # the slider's own key, and the page's: one step all the same
    expect(page.get_by_text("Step 1 of 4, t = 100")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    expect(page.get_by_text("Step 1 of 4, t = 100")).to_be_visible()
    expect_answers(page, "No tumour", "Tumour")
    assert all(image.get_attribute("alt") for image in main.locator("img").all())

    page.locator(".st-key-to-timeline button").click()
    for words in ("1 Attack. ", "2 Altered, flagged. ", "3 Noise added", "4 Estimate. ", "5 Answer back. "):
        expect(page.get_by_role("img", name=re.compile(f"^{re.escape(words)}"))).to_be_visible(timeout=WAIT_MS)

    section(page, "What changed")
    expect(page.get_by_text("Where the classifier looked")).to_be_visible(timeout=WAIT_MS)
    with page.expect_download() as download:
        page.locator(".st-key-purified-dcm button").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name.endswith("-purified-one-step.dcm") and load_scan(file).derived == "purified"

    section(page, "Seeds")
    count = page.locator(".st-key-seeds-count input")
    count.fill("4")
    count.press("Enter")
    settle(page)
    page.locator(".st-key-seeds button").click()
    expect(page.get_by_text("All 4 seeds agree: “tumour”")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert "restored" not in main.inner_text().lower()


def test_playing_goes_through_to_the_end(open_app: Visit) -> None:
    page = open_app()
    carried_over(page)
    page.locator(".st-key-purify button").click()
    expect(page.locator(".st-key-purify-play")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("Home")
    expect(page.get_by_role("img", name=re.compile("^Input. ")).first).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("Alt+k")
    expect(page.get_by_role("button", name=re.compile("Pause"))).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Step 4 of 4, t = 25")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("button", name=re.compile("Play"))).to_be_visible(timeout=WAIT_MS)


def test_a_long_purification_is_watched_and_stops_at_once(open_app: Visit) -> None:
    page = open_app()
    carried_over(page)
    page.locator(".st-key-purify-count").get_by_text("1", exact=True).click()
    settle(page)
    page.locator(".st-key-purify button").click()
    expect(page.locator(".st-key-purify-play")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    method = page.locator(".st-key-purify-method-0 [role=combobox], .st-key-purify-method-0 input").first
    choose(method, "DiffPure, DDPM")
    settle(page)
    page.locator(".st-key-purify button").click()
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text("of 100 steps", timeout=WAIT_MS)
    seen = progress.inner_text()
    expect(progress).not_to_have_text(seen, timeout=WAIT_MS)
    # What was on the page before must not stand beside it, greyed.
    expect(page.locator(".st-key-purify-play")).to_have_count(0)
    before = float(re.search(r"([\d.]+) s of computing", press_stop(page))[1])
    expect(page.get_by_text("Stopped. What is shown")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    more = float(re.search(r"([\d.]+) s of computing", page.get_by_text("of computing").inner_text())[1]) - before
    # What is on the page is a moment old, and a busy machine draws late: hence not the time on the clock.
    assert more <= STOP_SECONDS + LAG_SECONDS
