"""The Detect page in a real browser: every section with an open scan, and a test that is started and stopped."""

import re
from collections.abc import Callable
from pathlib import Path

from helpers import WAIT_MS, settle, upload
from playwright.sync_api import Page, expect

from core import load_bundle
from core.evaluation.operating_points import recorded

Visit = Callable[[], Page]
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"


def open_section(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("radio", name=name, exact=True).click()
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_every_section_shows_its_evidence(open_app: Visit) -> None:
    page = open_app()
    page.get_by_role("link", name="Detect").first.click()
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    expect(page.get_by_role("img", name="Mask 2 of scan tumour-01.dcm: error")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="Over the scan")).to_be_visible()
    assert all(image.get_attribute("alt") for image in page.get_by_test_id("stMain").locator("img").all())

    expect(page.get_by_test_id("stPlotlyChart")).to_contain_text("this scan", timeout=WAIT_MS)

    open_section(page, "Recorded studies")
    expect(page.get_by_role("heading", name=re.compile(r"Scores, recorded on \d+"))).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("stPlotlyChart")).not_to_contain_text("this scan")
    open_section(page, "Thresholds")
    point = page.locator(".st-key-operating-point")
    expect(point).to_contain_text(re.compile("[0-9] %"))
    settle(page)
    before = point.inner_text()
    page.get_by_test_id("stMain").get_by_role("slider").last.press("Home")
    expect(point).not_to_have_text(before, use_inner_text=True)
    settle(page)
    page.locator(".st-key-reset-thresholds button").click()
    expect(point).to_have_text(before, use_inner_text=True)

    for section in ("ROC", "Stress"):
        open_section(page, section)
        expect(page.locator(f".st-key-{section.lower()} .js-plotly-plot")).to_be_visible(timeout=WAIT_MS)
        page.get_by_test_id("stExpander").first.locator("summary").click()
        expect(page.get_by_test_id("stTable")).to_be_visible()

    open_section(page, "Benign changes")
    conditions = [entry for entry in recorded(load_bundle().calibrations["resnet18"]) if entry.benign]
    assert len(conditions) == 20
    page.get_by_test_id("stExpander").first.locator("summary").click()
    expect(page.get_by_test_id("stTable").locator("tbody tr")).to_have_count(20)


def test_a_recomputation_is_watched_and_stopped(open_app: Visit) -> None:
    page = open_app()
    page.get_by_role("link", name="Detect").first.click()
    expect(page.get_by_role("heading", name="Judge the detector")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    open_section(page, "Measured now")
    page.locator(".st-key-trial-start button").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 12 scans", timeout=WAIT_MS)
    expect(page.get_by_test_id("stTable").locator("tbody tr").first).to_be_visible(timeout=WAIT_MS)
    page.locator(".st-key-trial-stop button").click()
    expect(page.get_by_text(re.compile(r"Stopped after \d+ of 12 scans"))).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".st-key-trial-start button")).to_be_visible()
    expect(page.get_by_text("Fooled, undefended")).to_be_visible()
