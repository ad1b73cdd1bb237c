"""The Experts page in a real browser: every section with a scan on the table, an attack, and experts switched off."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import WAIT_MS, settle, upload
from playwright.sync_api import Page, expect

from core import load_bundle
from core.explanation.gates import read_gates
from core.explanation.mixture import mixtures

Visit = Callable[[], Page]
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"
NONE_LEFT = "All experts are switched off"


@pytest.fixture(scope="module")
def mixture() -> str:
    """The mixture that the page begins with."""
    return mixtures(load_bundle())[0]


@pytest.fixture
def page(open_app: Visit, mixture: str) -> Page:
    """The Experts page with a sample."""
    page = open_app()
    page.get_by_role("link", name="Experts").first.click()
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    expect(page.get_by_role("heading", name="Open up the experts")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return page


def open_section(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("radio", name=name, exact=True).click()
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def every_picture_has_a_text(page: Page) -> None:
    images = page.get_by_test_id("stMain").locator("[data-testid=stImage] img").all()
    assert images and all(image.get_attribute("alt") for image in images)


def test_experts_are_attacked_and_switched_off(page: Page, mixture: str) -> None:
    expect(page.locator(".js-plotly-plot")).to_have_count(1, timeout=WAIT_MS)
    page.locator(".st-key-experts-attack button").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 40 steps", timeout=WAIT_MS)
    expect(page.get_by_text("Purified", exact=True)).to_be_visible(timeout=WAIT_MS)
    settle(page)
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    every_picture_has_a_text(page)
    for expert in load_bundle().experts(mixture):
        page.locator(f".st-key-experts-on-{mixture}").get_by_role("button", name=expert.name, exact=True).click()
        settle(page)
    expect(page.get_by_text(NONE_LEFT)).to_be_visible()
    expect(page.get_by_test_id("stMain")).not_to_contain_text("nan", ignore_case=True)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_the_gate_follows_the_slider(page: Page) -> None:
    open_section(page, "Drag ε")
    page.locator(".st-key-path-start button").click()
    expect(page.get_by_role("heading", name="How the gate changes over ε")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    chart = page.locator(".st-key-path-lines")
    expect(chart.get_by_text("ε = 0/255")).to_be_visible(timeout=WAIT_MS)
    page.get_by_test_id("stMain").get_by_role("slider").press("End")
    expect(chart.get_by_text("ε = 16/255")).to_be_visible(timeout=WAIT_MS)
    expect(chart.get_by_text("ε = 0/255")).to_have_count(0)
    every_picture_has_a_text(page)


def test_where_they_look_and_whom_the_gate_trusts(page: Page, mixture: str) -> None:
    open_section(page, "Where they look")
    page.locator(".st-key-look button").click()
    expect(page.get_by_role("img", name=re.compile("with the map of Grad-CAM over it"))).to_be_visible(timeout=WAIT_MS)
    page.get_by_text("Mark the lesion with a circle").click()
    settle(page)
    expect(page.get_by_test_id("stTable")).to_contain_text("Energy inside", timeout=WAIT_MS)
    page.get_by_test_id("stMain").get_by_role("radio", name="Rollout", exact=True).click()
    settle(page)
    expect(page.get_by_role("img", name=re.compile("with the map of rollout over it"))).to_be_visible()
    every_picture_has_a_text(page)
    open_section(page, "Map of gates")
    if read_gates(load_bundle(), mixture):
        expect(page.locator(".st-key-gate-map")).to_contain_text("this scan", timeout=WAIT_MS)
    else:
        expect(page.get_by_text("are not recorded for this mixture")).to_be_visible()
