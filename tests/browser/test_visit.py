"""A visit and its browser: what a reload brings back, where Back leads, the notice, and the view for a class."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import WAIT_MS, at, choose, decision, settle, upload
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.app_server import Server, start_server

Visit = Callable[[], Page]
SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
SECRET = "sessionStorage.getItem('purescan-visit')"
CLASS = {"width": 1440, "height": 900}


def arrive(context: BrowserContext, address: str) -> Page:
    """A tab that comes to an address, and what it is asked there read."""
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=WAIT_MS)
    settle(page)
    return page


def own_upload(page: Page) -> str:
    """Upload a scan on Examine; its decision."""
    page.get_by_role("link", name="Examine", exact=True).first.click()
    upload(page, "mine.dcm", (SAMPLES / "tumour-01.dcm").read_bytes())
    return decision(page, "mine.dcm")


def until(page: Page, words: str) -> None:
    """Wait until the address holds these words, and the page has come to rest."""
    page.wait_for_url(re.compile(re.escape(words)), timeout=WAIT_MS)
    settle(page)


def test_a_reload_comes_back_to_the_same_scan(open_app: Visit) -> None:
    page = open_app()
    before = own_upload(page)
    page.get_by_role("link", name="Faults", exact=True).click()
    page.locator(".st-key-faults-flip button").click(timeout=WAIT_MS)
    expect(page.locator(".st-key-faults-undo button")).to_be_enabled(timeout=WAIT_MS)
    until(page, "scan=own")
    page.reload()
    expect(page.locator(".st-key-faults-undo button")).to_be_enabled(timeout=WAIT_MS)
    page.get_by_role("link", name="Examine", exact=True).first.click()
    assert decision(page, "mine.dcm") == before
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_nobody_else_gets_an_upload(browser: Browser, open_app: Visit, server: Server) -> None:
    page = open_app()
    own_upload(page)
    until(page, "scan=own")
    shared, secret = page.url, page.evaluate(SECRET)
    assert len(secret) >= 32 and secret not in shared and secret not in page.content()
    for remembered in (None, "", "0" * len(secret), secret[:-1], secret.swapcase()):
        context = browser.new_context()
        if remembered is not None:
            context.add_init_script(f"sessionStorage.setItem('purescan-visit', '{remembered}')")
        other = arrive(context, shared)
        expect(other.get_by_text("isn’t on the server any more")).to_be_visible(timeout=WAIT_MS)
        expect(other.get_by_role("heading", name="Examine a scan")).to_be_visible()
        assert "mine.dcm" not in other.content()
        context.close()


def test_a_copied_tab_goes_its_own_way(browser: Browser, open_app: Visit) -> None:
    page = open_app()
    own_upload(page)
    until(page, "scan=own")
    secret, context = page.evaluate(SECRET), browser.new_context()
    context.add_init_script(f"sessionStorage['purescan-visit'] ??= '{secret}'")
    copy = context.new_page()
    copy.goto(page.url)
    decision(copy, "mine.dcm")
    assert copy.evaluate(SECRET) != secret
    upload(copy, "other.dcm", (SAMPLES / "no-tumour-01.dcm").read_bytes())
    decision(copy, "other.dcm")
    page.get_by_text("Error map").click()
    decision(page, "mine.dcm")
    context.close()


def test_the_notice_is_read_once_a_browser(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    arrive(context, server.url)
    second = context.new_page()
    second.goto(f"{server.url}/detect")
    expect(second.get_by_role("heading", name="Judge the detector")).to_be_visible(timeout=WAIT_MS)
    settle(second)
    expect(second.get_by_role("dialog")).to_have_count(0)
    context.close()


def test_back_leads_to_each_place_once(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport=CLASS)
    page = arrive(context, f"{server.url}/examine?sample=tumour-01")
    decision(page, "tumour-01.dcm")
    until(page, "sample=tumour-01&seed=0")
    choose(page.get_by_test_id("stSidebar").get_by_label("Sample scans"), re.compile("no.tumour", re.IGNORECASE))
    until(page, "sample=no-tumour-01")
    page.get_by_role("link", name="Detect", exact=True).click()
    until(page, "/detect?bundle=brain-mri&sample=no-tumour-01")
    page.get_by_role("radio", name="Recorded studies").click()
    until(page, "section=scores")
    page.get_by_role("radio", name="ROC").click()
    until(page, "section=roc")
    page.go_back()
    until(page, "section=scores")
    page.go_back()
    until(page, "/detect?bundle=brain-mri&sample=no-tumour-01")
    expect(page.get_by_role("radio", name="This scan")).to_be_checked(timeout=WAIT_MS)
    page.go_back()
    until(page, "/examine?bundle=brain-mri&sample=no-tumour-01")
    decision(page, "no-tumour-01.dcm")
    page.go_back()
    until(page, "/examine?bundle=brain-mri&sample=tumour-01")
    decision(page, "tumour-01.dcm")
    page.go_forward()
    until(page, "/examine?bundle=brain-mri&sample=no-tumour-01")
    decision(page, "no-tumour-01.dcm")
    context.close()


def test_no_such_page_is_said_on_home(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = arrive(context, f"{server.url}/nonsense?sample=x")
    expect(page.get_by_text("There is no page “nonsense” here")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="See a medical image classifier attacked")).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    page.goto(f"{server.url}/home")
    expect(page.get_by_role("heading", name="See a medical image classifier attacked")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    expect(page.get_by_text(re.compile("Page not found|There is no page"))).to_have_count(0)
    context.close()


@pytest.mark.slow
def test_a_fresh_server_knows_its_pages(browser: Browser) -> None:
    process, fresh = start_server()
    context = browser.new_context()
    try:
        page, held = context.new_page(), []
        # The first to come, with a browser so slow that the server no longer waits for what it remembers.
        page.route(re.compile("BidiComponent"), lambda route: held.append(route), times=1)
        page.goto(f"{fresh.url}/attack?sample=tumour-01")
        understood = page.get_by_role("button", name="I understand")
        expect(understood).to_be_visible(timeout=WAIT_MS)
        with page.expect_event("domcontentloaded", timeout=WAIT_MS):  # it is loaded again
            for route in held:
                route.continue_()
        understood.click(timeout=WAIT_MS)
        expect(page.get_by_role("heading", name="Attack a scan")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        context.close()
        process.terminate()
        process.wait(20)


def shown_whole(page: Page, part: str, least: float = 150) -> None:
    """That a picture, or what is written, is on the screen as it is, above the bar; least: its height."""
    box, bar = page.locator(part).first.bounding_box(), page.locator(".st-key-class-bar").bounding_box()
    assert box and bar and box["height"] > least
    assert 0 <= box["y"] and box["y"] + box["height"] <= bar["y"] + 2, (box, bar)


def test_a_class_is_led_by_keys_alone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport=CLASS)
    page = arrive(context, f"{server.url}/?sample=tumour-01&view=class")
    until(page, "/examine?")
    decision(page, "tumour-01.dcm")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    shown_whole(page, ".viewer .picture")
    page.keyboard.press("a")
    until(page, "/attack?")
    expect(page.locator(".st-key-attack button")).to_be_visible(timeout=WAIT_MS)
    shown_whole(page, "[data-testid=stImage] img")
    page.keyboard.press("a")
    until(page, "step=40")
    shown_whole(page, ".st-key-comparison canvas")
    canvas = page.locator(".st-key-comparison canvas")
    expect(canvas).to_have_attribute("data-shown", re.compile("^B"))
    page.keyboard.press("f")
    expect(canvas).to_have_attribute("data-shown", re.compile("^A"))
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Flicker A/B")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("d")
    page.keyboard.press("Home")
    until(page, "step=0")
    page.keyboard.press("ArrowRight")
    until(page, "step=1&")
    page.keyboard.press("p")
    until(page, "/purify?")
    expect(page.locator(".st-key-purify button")).to_be_visible(timeout=WAIT_MS)
    shown_whole(page, ".st-key-comparison canvas")
    page.keyboard.press("p")
    until(page, "step=4")
    for place in (0, -1):
        shown_whole(page, f".st-key-stage-2 [data-testid=stImage] img >> nth={place}")
        shown_whole(page, f".st-key-stage-2 [data-testid=stImageCaption] >> nth={place}", least=15)
    page.keyboard.press("ArrowLeft")
    until(page, "step=3")
    page.keyboard.press(" ")
    until(page, "step=4")
    assert "view=class" in page.url
    page.keyboard.press("Alt+t")
    expect(page.get_by_test_id("stSidebar")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert "view=class" not in page.url
    context.close()


def test_keys_turn_sections_and_leave_what_is_typed_alone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport=CLASS)
    page = arrive(context, f"{server.url}/faults?view=class")
    expect(page.get_by_role("radio", name="Flip", exact=True)).to_be_checked(timeout=WAIT_MS)
    number = page.get_by_label(re.compile("^Number, 0 to"))
    number.click(timeout=WAIT_MS)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    settle(page)
    assert "/faults?" in page.url and "section" not in page.url
    page.mouse.click(*at(page.get_by_role("heading", name="Flip a bit"), 0.5, 0.5))
    page.keyboard.press("ArrowRight")
    until(page, "section=curves")
    page.keyboard.press("ArrowLeft")
    until(page, "view=class")
    expect(page.get_by_role("radio", name="Flip", exact=True)).to_be_checked(timeout=WAIT_MS)
    page.keyboard.press("p")
    until(page, "/purify?")
    context.close()


def test_a_shared_address_opens_the_same_in_another_browser(browser: Browser, server: Server) -> None:
    words = "sample=tumour-01&attack=fgsm&eps=6&attacked=yes&purify=one-step&step=0&view=class"
    context = browser.new_context(viewport=CLASS)
    page = arrive(context, f"{server.url}/purify?{words}")
    until(page, "step=0&view=class")
    expect(page.get_by_text("· The input")).to_be_visible(timeout=WAIT_MS)
    shown_whole(page, ".st-key-stage-1 [data-testid=stImage] img")
    context.close()
