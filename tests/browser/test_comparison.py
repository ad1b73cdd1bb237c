"""Pictures compared in a real browser: side by side or in turns, all of them linked, and nobody is asked."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers import WAIT_MS, choose, drag, settle, upload
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.cells import cell

Visit = Callable[[], Page]
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"
ALL = "Original; Attacked; Purified; Attacked − Original, × 20"
# Mean brightness of each quarter of what is drawn: of four pictures, one each.
QUARTERS = """(canvas) => {
    const { width, height } = canvas, context = canvas.getContext('2d');
    return [[0, 0], [1, 0], [0, 1], [1, 1]].map(([x, y]) => {
        const data = context.getImageData(x * width / 2, y * height / 2, width / 2, height / 2).data;
        let sum = 0; for (let i = 0; i < data.length; i += 4) sum += data[i];
        return 4 * sum / data.length;
    });
}"""
MIDDLE = """(canvas) => {
    const { width, height } = canvas, side = 10;
    const data = canvas.getContext('2d').getImageData(width / 2 - side, height / 2 - side, 2 * side, 2 * side).data;
    return [0, 1, 2].map((channel) => {
        let sum = 0; for (let i = channel; i < data.length; i += 4) sum += data[i];
        return 4 * sum / data.length;
    });
}"""
# Width and height of all that isn't black, without what is written into the corners.
BOX = """(canvas) => {
    const { width, height } = canvas, data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    const lit = (x, y) => Math.max(...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)) > 24;
    const share = (count, of) => { let sum = 0; for (let i = 0; i < count; i++) sum += of(i); return sum / count; };
    const columns = [...Array(width).keys()].filter((x) => share(height, (y) => lit(x, y)) > 0.3);
    const rows = [...Array(height).keys()].filter((y) => share(width, (x) => lit(x, y)) > 0.3);
    return [columns.at(-1) - columns[0] + 1, rows.at(-1) - rows[0] + 1];
}"""
LINE = """(canvas) => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] === 77 && data[i + 1] === 225 && data[i + 2] === 255;
    return sum;
}"""


def look(canvas: Locator, script: str) -> object:
    """What a script finds on the canvas once it is drawn."""
    canvas.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return canvas.evaluate(script)


def go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=name).click()
    settle(page)


def attacked(page: Page) -> Locator:
    """Attack the sample with its region outlined; the pictures that the Attack page compares."""
    go(page, "Examine")
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    canvas = page.locator(".viewer .picture")
    expect(page.locator(".st-key-decision")).to_contain_text("seed", timeout=WAIT_MS)
    settle(page)
    for key in ("e", "Enter", "Enter"):
        canvas.press(key)
    expect(page.get_by_role("heading", name="In the region of interest")).to_be_visible(timeout=WAIT_MS)
    go(page, "Attack")
    page.locator(".st-key-attack button").click(timeout=WAIT_MS)
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return canvas


def test_pictures_are_linked_and_flicker_without_the_server(open_app: Visit) -> None:
    page, sent = open_app(), []
    canvas = attacked(page)
    expect(canvas).to_have_attribute("data-shown", ALL, timeout=WAIT_MS)
    assert "with the region’s outline" in (canvas.get_attribute("aria-label") or "")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.webSocketFrameSent", lambda _: sent.append(1))

    before, line = look(canvas, QUARTERS), look(canvas, LINE)
    assert line > 400
    canvas.focus()
    for _ in range(5):
        canvas.press("+")
    enlarged = look(canvas, QUARTERS)
    assert all(abs(new - old) > 1 for old, new in zip(before[:3], enlarged[:3]))
    canvas.press("o")
    assert look(canvas, LINE) == 0
    canvas.press("r")
    canvas.press("o")
    assert look(canvas, QUARTERS) == pytest.approx(before, abs=0.5) and look(canvas, LINE) == line

    drag(canvas, (0.2, 0.3), (0.2, 0.15))
    brighter = look(canvas, QUARTERS)
    assert all(new > old + 3 for old, new in zip(before[:3], brighter[:3]))
    assert brighter[3] == pytest.approx(before[3], abs=0.5)  # a difference has no window

    # Wherever the focus is: in a class nobody looks for it.
    canvas.evaluate("(canvas) => canvas.blur()")
    for key, shown in (("a", "A  Original"), ("b", "B  Attacked"), ("d", "Attacked − Original, × 20"), ("s", ALL)):
        page.keyboard.press(key)
        expect(canvas).to_have_attribute("data-shown", shown)
    page.get_by_role("combobox", name="Picture A").select_option("Purified")
    page.get_by_role("combobox", name="Amplify").select_option("× 5")
    page.get_by_role("button", name="Difference B − A").click()
    expect(canvas).to_have_attribute("data-shown", "Attacked − Purified, × 5")
    page.keyboard.press("f")
    for shown in ("A  Purified", "B  Attacked", "A  Purified"):
        expect(canvas).to_have_attribute("data-shown", shown)
    page.keyboard.press("f")
    stays = canvas.get_attribute("data-shown")
    page.wait_for_timeout(1500)
    assert canvas.get_attribute("data-shown") == stays
    canvas.press(" ")
    assert {stays, canvas.get_attribute("data-shown")} <= {"A  Purified", "B  Attacked"}
    assert not sent


def stretched() -> bytes:
    """The sample with every third row, each three times as thick as a column is wide."""
    ds = pydicom.dcmread(SAMPLE)
    pixels = np.ascontiguousarray(ds.pixel_array[::3])
    ds.Rows, ds.PixelData, ds.PixelSpacing = len(pixels), pixels.tobytes(), [4.5, 1.5]
    ds.ImageType = ["ORIGINAL", "PRIMARY"]  # what Purescan wrote has square pixels, whatever it says
    stream = io.BytesIO()
    ds.save_as(stream)
    return stream.getvalue()


def attacked_upload(page: Page, name: str, content: bytes) -> Locator:
    upload(page, name, content)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=WAIT_MS)
    go(page, "Attack")
    page.locator(".st-key-attack button").click(timeout=WAIT_MS)
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return page.locator(".viewer .picture")


def test_a_colour_scan_is_compared_in_colour_and_has_no_window(open_app: Visit) -> None:
    page, stream = open_app(), io.BytesIO()
    Image.fromarray(np.rint(255 * cell(3, 120, 96)).astype(np.uint8)).save(stream, "PNG")
    choose(page.get_by_role("combobox", name="Model bundle"), "blood-cells")
    canvas = attacked_upload(page, "cell.png", stream.getvalue())
    expect(canvas).to_have_attribute("data-shown", "Original; Attacked; Attacked − Original, × 20", timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Window", exact=True)).to_have_count(0)
    canvas.press("a")
    (red, green, blue), box = look(canvas, MIDDLE), look(canvas, BOX)
    assert red == pytest.approx(0.45 * 255, abs=25) and blue == pytest.approx(0.6 * 255, abs=25) and green < red - 30
    assert box[1] / box[0] == pytest.approx(120 / 96, rel=0.03)
    drag(canvas, (0.5, 0.5), (0.5, 0.2))  # moves it, and what was in the middle with it
    assert look(canvas, MIDDLE)[1] > green + 60
    canvas.press("b")
    assert look(canvas, MIDDLE)[1] > green + 60  # they are linked
    canvas.press("r")
    assert look(canvas, MIDDLE)[1] == pytest.approx(green, abs=25)
    canvas.press("d")
    assert look(canvas, MIDDLE) != (red, green, blue) and look(canvas, BOX) == pytest.approx(box, abs=3)


def test_pixels_that_are_not_square_are_compared_as_they_lie_in_the_patient(open_app: Visit) -> None:
    page = open_app()
    canvas = attacked_upload(page, "thick.dcm", stretched())
    expect(canvas).to_have_attribute("data-shown", ALL, timeout=WAIT_MS)
    canvas.press("d")
    width, height = look(canvas, BOX)
    assert height / width == pytest.approx(43 * 4.5 / (128 * 1.5), rel=0.03)


def test_typing_is_no_shortcut_and_steps_keep_what_was_chosen(open_app: Visit) -> None:
    page = open_app()
    canvas = attacked(page)
    page.keyboard.press("Alt+t")
    settle(page)
    expect(canvas).to_have_attribute("data-shown", "B  Attacked", timeout=WAIT_MS)  # for the back row
    page.keyboard.press("Home")
    expect(canvas).to_have_attribute("data-shown", "B  After step 0", timeout=WAIT_MS)
    page.get_by_role("button", name="Difference B − A").click()
    page.keyboard.press("ArrowRight")
    expect(canvas).to_have_attribute("data-shown", "After step 1 − Original, × 20", timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("Alt+t")
    settle(page)
    page.get_by_text("More settings").click()
    box = page.locator(".st-key-attack-seed input")
    box.focus()
    shown = canvas.get_attribute("data-shown")
    box.press("a")
    assert canvas.get_attribute("data-shown") == shown


def test_where_a_browser_has_no_canvas_a_still_picture_remains(open_app: Visit) -> None:
    page = open_app()
    page.context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")
    go(page, "Attack")
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    page.locator(".st-key-attack button").click(timeout=WAIT_MS)
    still = page.get_by_role("img", name="Original, Attacked, Purified", exact=True)
    expect(still).to_be_visible(timeout=WAIT_MS)
    assert still.evaluate("(image) => image.decode().then(() => image.naturalWidth > 2 * image.naturalHeight)")
