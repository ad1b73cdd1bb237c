"""The Faults page in a real browser: bits are pressed and taken back, and another visitor notices none of it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import WAIT_MS, decision, settle, upload
from playwright.sync_api import Locator, Page, expect

from core import examine, load_bundle, load_scan
from core.faults import network_digest

Visit = Callable[[], Page]
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"


@pytest.fixture
def page(open_app: Visit) -> Page:
    """The Faults page with a sample."""
    page = open_app()
    page.get_by_role("link", name="Faults").first.click()
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    expect(page.get_by_role("heading", name="Before and after")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return page


def press(page: Page, key: str) -> None:
    page.locator(f".st-key-{key} button").first.click()  # a button with help has a hidden twin
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def open_section(page: Page, name: str) -> None:
    page.locator(".st-key-faults-section").get_by_role("radio", name=name, exact=True).click()
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.fixture(scope="module")
def share() -> str:
    """What the sound network answers, in per cent."""
    answer = examine(load_scan(SAMPLE), load_bundle()).undefended
    return f"{100 * answer.probabilities['tumour']:.1f} %"


def side(page: Page, name: str) -> Locator:
    """What is said before or after the damage."""
    return page.locator(f".st-key-faults-{name}")


def break_it(page: Page) -> None:
    """Set the top bit of the exponent of the largest number in the first tensor."""
    press(page, "faults-largest")
    press(page, "bit-30")
    expect(side(page, "after")).to_contain_text("With the damage", timeout=WAIT_MS)
    settle(page)


def test_a_bit_is_flipped_repaired_and_taken_back(page: Page, share: str) -> None:
    expect(side(page, "after")).to_contain_text(share)
    break_it(page)
    expect(page.get_by_text("1 flipped bit")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Value: .* → .* × 10³"))).to_be_visible()
    expect(side(page, "before")).to_contain_text(share)
    expect(side(page, "after")).not_to_contain_text(share)
    page.locator("[class*=st-key-faults-guard]").get_by_role("radio", name="Repair").click()
    expect(page.get_by_text("was put right in memory")).to_be_visible(timeout=WAIT_MS)
    expect(side(page, "after")).to_contain_text(share)
    settle(page)
    press(page, "faults-undo-all")
    expect(page.get_by_text("No bit is flipped")).to_be_visible(timeout=WAIT_MS)
    images = page.get_by_test_id("stMain").locator("[data-testid=stImage] img").all()
    assert images and all(image.get_attribute("alt") for image in images)


def test_another_visitor_notices_nothing(page: Page, open_app: Visit, share: str) -> None:
    """One damages a network and looks at what it says; the other gets the answer of the sound one, before and after."""
    other = open_app()
    other.get_by_role("link", name="Examine").first.click()
    expect(other.get_by_role("heading", name="Examine a scan")).to_be_visible(timeout=WAIT_MS)
    upload(other, SAMPLE.name, SAMPLE.read_bytes())
    before = answers(decision(other, SAMPLE.name))
    break_it(page)
    expect(side(page, "after")).not_to_contain_text(share)
    # Examined anew, while the damage of the other visitor stands.
    upload(other, "again.dcm", SAMPLE.read_bytes())
    assert answers(decision(other, "again.dcm")) == before
    other.get_by_role("link", name="Faults").first.click()
    expect(other.get_by_text("No bit is flipped")).to_be_visible(timeout=WAIT_MS)
    settle(other)
    for name in ("before", "after"):
        expect(side(other, name)).to_contain_text(share)
    expect(page.get_by_text("1 flipped bit")).to_be_visible()
    # The server's own word on the weights that everybody shares, after all of this.
    digest = network_digest(load_bundle().classifiers["resnet18"])
    for visitor in (page, other):
        expect(visitor.locator(".st-key-faults-digest")).to_contain_text(f"{digest}, as when you began")


def answers(card: str) -> list[str]:
    """A decision card without its timings."""
    return [re.sub(r"\d+\.\d\d s", "s", line) for line in card.splitlines()]


def test_curves_and_worst_case_are_measured(page: Page) -> None:
    open_section(page, "Curves")
    page.locator(".st-key-faults-trials").get_by_role("radio", name="5", exact=True).click()
    settle(page)
    page.locator(".st-key-faults-measure-flips button").click()
    expect(page.get_by_text("measured now")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    open_section(page, "Worst case")
    page.locator(".st-key-faults-search button").click()
    expect(page.get_by_role("button", name="Flip these bits in my network")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    expect(page.get_by_text("the worst of")).to_be_visible()
    open_section(page, "Side by side")
    expect(page.get_by_role("heading", name="Who breaks first?")).to_be_visible()
