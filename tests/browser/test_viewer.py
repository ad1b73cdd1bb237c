"""The viewer in a real browser: turning the wheel asks nobody, and what is asked for is examined."""

import re
from collections.abc import Callable
from pathlib import Path

from helpers import WAIT_MS, at, decision, drag, settle, upload
from playwright.sync_api import Locator, Page, expect

Visit = Callable[[], Page]
SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
VOLUME = SAMPLES / "mni152.nii.gz"  # 189 slices of 233 x 197
MOST_MS = 50.0


def drawn(canvas: Locator) -> tuple[int, float]:
    """Which slice is shown, from 0, and how many milliseconds it took to draw."""
    canvas.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return canvas.evaluate("(canvas) => [Number(canvas.dataset.slice), Number(canvas.dataset.milliseconds)]")


def brightness(canvas: Locator) -> float:
    """Mean brightness of what is drawn, 0 to 255."""
    drawn(canvas)
    return canvas.evaluate(
        "(canvas) => {"
        " const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " let sum = 0; for (let i = 0; i < data.length; i += 4) sum += data[i]; return (4 * sum) / data.length; }"
    )


def stop_series(page: Page) -> None:
    """End the examination of all slices: while it runs, the page asks how far it is, and its strip is drawn anew."""
    page.locator(".st-key-series-stop button").click(timeout=WAIT_MS)
    expect(page.get_by_text("Stopped after")).to_be_visible(timeout=WAIT_MS)
    settle(page)


def test_slices_are_turned_without_the_server_and_examined_on_request(open_app: Visit) -> None:
    page, sent, elsewhere = open_app(), [], []
    page.on("request", lambda request: elsewhere.append(request.url) if "127.0.0.1" not in request.url else None)
    upload(page, VOLUME.name, VOLUME.read_bytes())
    decision(page, VOLUME.name)
    canvas = page.locator(".viewer .picture")
    expect(canvas).to_have_attribute("data-slice", "94", timeout=WAIT_MS)
    stop_series(page)
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.webSocketFrameSent", lambda _: sent.append(1))

    canvas.hover()
    seconds = []
    for turn in range(1, 21):
        page.mouse.wheel(0, 100)
        expect(canvas).to_have_attribute("data-slice", str(94 + turn))
        seconds.append(drawn(canvas)[1])
    assert sorted(seconds)[len(seconds) // 2] < MOST_MS
    expect(canvas).to_have_attribute("aria-label", re.compile("slice 115 of 189, answer: slice 95$"))
    canvas.press("Home")
    assert drawn(canvas)[0] == 0
    canvas.press("PageDown")
    assert drawn(canvas)[0] == 10
    page.get_by_role("slider", name="Slice", exact=True).fill("81")
    assert drawn(canvas)[0] == 80

    dark = brightness(canvas)
    drag(canvas, (0.5, 0.5), (0.5, 0.3))
    assert brightness(canvas) != dark
    canvas.press("r")

    page.get_by_role("button", name="Three planes").click()
    assert drawn(canvas)[1] < 4 * MOST_MS
    assert not sent
    page.get_by_role("button", name="Examine slice 81").click()
    expect(page.get_by_role("button", name="Examine slice 81")).to_be_hidden(timeout=WAIT_MS)
    assert decision(page, VOLUME.name)
    assert drawn(canvas)[0] == 80 and sent
    assert not [url for url in elsewhere if not url.startswith(("blob:", "data:"))]


def test_a_window_of_ones_own_is_what_the_models_see(open_app: Visit) -> None:
    page = open_app()
    upload(page, VOLUME.name, VOLUME.read_bytes())
    before = decision(page, VOLUME.name)
    canvas = page.locator(".viewer .picture")
    drag(canvas, (0.3, 0.5), (0.65, 0.4))
    page.get_by_role("button", name="Examine with this window").click()
    expect(page.get_by_role("button", name="Examine with this window")).to_be_hidden(timeout=WAIT_MS)
    assert decision(page, VOLUME.name) != before
    page.get_by_text("Window, seed and classifier").click()
    expect(page.get_by_role("slider", name="Width")).to_be_visible(timeout=WAIT_MS)
    expect(canvas).to_be_visible()
    stop_series(page)  # with this window all slices are examined anew, which would take the next test's time


def outlined(canvas: Locator) -> int:
    """Pixels on the screen that have the colour of an outline."""
    drawn(canvas)
    return canvas.evaluate(
        "(canvas) => {"
        " const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " let sum = 0;"
        " for (let i = 0; i < data.length; i += 4) sum += data[i] === 77 && data[i + 1] === 225 && data[i + 2] === 255;"
        " return sum; }"
    )


def test_a_region_is_drawn_and_taken_away_with_the_mouse_and_with_keys(open_app: Visit) -> None:
    page = open_app()
    upload(page, "slice.dcm", (SAMPLES / "tumour-02.dcm").read_bytes())
    decision(page, "slice.dcm")
    canvas, section = page.locator(".viewer .picture"), page.get_by_role("heading", name="In the region of interest")
    remove = page.get_by_role("button", name="Remove region")
    expect(remove).to_be_hidden()

    page.get_by_role("button", name="Ellipse").click()
    expect(page.locator(".viewer .hint")).to_contain_text("Drag from corner to corner")
    drag(canvas, (0.6, 0.55), (0.78, 0.7))
    expect(section).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".viewer .hint")).to_be_hidden()
    expect(canvas).to_have_attribute("aria-label", "Scan slice.dcm, slice 1 of 1, with a region")
    settle(page)
    small = outlined(canvas)
    canvas.press("+")
    assert small > 100 and outlined(canvas) > 1.1 * small  # it follows the zoom
    canvas.press("r")
    assert outlined(canvas) == small

    canvas.press("Delete")
    expect(section).to_be_hidden(timeout=WAIT_MS)
    assert outlined(canvas) == 0

    canvas.press("g")
    for place in ((0.5, 0.4), (0.65, 0.4), (0.6, 0.55)):
        page.mouse.click(*at(canvas, *place))
    assert outlined(canvas) and section.is_hidden()
    canvas.press("Escape")
    assert outlined(canvas) == 0
    canvas.press("g")
    for place in ((0.5, 0.4), (0.65, 0.4)):
        page.mouse.click(*at(canvas, *place))
    page.mouse.dblclick(*at(canvas, 0.6, 0.55))
    expect(section).to_be_visible(timeout=WAIT_MS)
    remove.click()
    expect(section).to_be_hidden(timeout=WAIT_MS)
    canvas.press("g")
    for place in ((0.5, 0.4), (0.65, 0.4), (0.6, 0.55), (0.505, 0.4)):
        page.mouse.click(*at(canvas, *place))
    expect(section).to_be_visible(timeout=WAIT_MS)
    canvas.press("Delete")
    expect(section).to_be_hidden(timeout=WAIT_MS)

    for key in ("e", "Enter", "ArrowRight", "Shift+ArrowDown", "Enter"):
        canvas.press(key)
    expect(section).to_be_visible(timeout=WAIT_MS)
    assert outlined(canvas) > 100


def test_a_region_lies_on_its_own_slice(open_app: Visit) -> None:
    page = open_app()
    upload(page, VOLUME.name, VOLUME.read_bytes())
    decision(page, VOLUME.name)
    canvas = page.locator(".viewer .picture")
    stop_series(page)
    canvas.press("e")
    expect(page.get_by_role("button", name="Ellipse")).to_have_attribute("aria-pressed", "true")
    drag(canvas, (0.4, 0.4), (0.55, 0.6))
    expect(page.get_by_role("heading", name="In the region of interest")).to_be_visible(timeout=WAIT_MS)
    assert outlined(canvas) > 100
    canvas.press("ArrowDown")
    assert outlined(canvas) == 0
    canvas.press("ArrowUp")
    assert outlined(canvas) > 100


def test_a_map_over_the_slice_is_made_fainter_and_cut_without_the_server(open_app: Visit) -> None:
    page, sent = open_app(), []
    upload(page, "slice.dcm", (SAMPLES / "tumour-02.dcm").read_bytes())
    decision(page, "slice.dcm")
    canvas, over = page.locator(".viewer .picture"), page.locator(".viewer .over")
    expect(over).to_be_hidden()
    plain = brightness(canvas)
    page.get_by_test_id("stMain").get_by_text("Error map", exact=True).first.click()
    expect(over).to_be_visible(timeout=WAIT_MS)
    settle(page)
    expect(page.locator(".viewer .bar")).to_contain_text("grey levels")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.webSocketFrameSent", lambda _: sent.append(1))
    shown = brightness(canvas)
    assert shown > plain + 1
    page.get_by_role("slider", name="Opacity").fill("40")
    assert plain < brightness(canvas) < shown
    page.get_by_role("slider", name="Threshold").fill("30")
    expect(over).to_contain_text("hides what is below")
    assert plain < brightness(canvas) < shown
    page.get_by_role("slider", name="Opacity").fill("0")
    assert abs(brightness(canvas) - plain) < 0.1
    assert not sent
    page.get_by_test_id("stMain").get_by_text("Attribution", exact=True).first.click()
    expect(page.locator(".viewer .bar")).to_contain_text("log odds", timeout=WAIT_MS)
