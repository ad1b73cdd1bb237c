"""Pictures of the app for the README, each at most 300 KB.

python -m tests.browser.screenshots --out assets/screenshots
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from conftest import chromium_path, start_server  # noqa: E402
from helpers import WAIT_MS, choose, settle  # noqa: E402

LIMIT = 300 * 1024
HEIGHT = {1440: 900, 820: 1180}


def home(page: Page) -> None:
    """The first page."""


def clean(page: Page) -> None:
    """A sample that nobody attacked."""
    start_tour(page, 0)
    page.get_by_role("button", name="Leave the tour").click()


def attacked(page: Page) -> None:
    """The same sample after PGD-40, with what defended it."""
    start_tour(page, 2)
    page.get_by_role("button", name="Leave the tour").click()


def tour(page: Page) -> None:
    """The educator's second step."""
    start_tour(page, 1)
    page.get_by_role("button", name="Next").click()


def evidence(page: Page) -> None:
    """The attacked sample's scores and differences."""
    attacked(page)
    come_to_rest(page)
    page.get_by_role("heading", name="The evidence").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollBy(0, 640)")


def error_map(page: Page) -> None:
    """The reconstruction error over the scan."""
    clean(page)
    come_to_rest(page)
    page.get_by_text("Error map").click()


def refused(page: Page) -> None:
    """A CT slice."""
    sample(page, "CT slice")


def volume(page: Page) -> None:
    """A slice of a NIfTI volume."""
    sample(page, "MNI152")


def wrong_file(page: Page) -> None:
    """A file that is no scan, after one that was."""
    sample(page, "MR slice")
    come_to_rest(page)
    file = {"name": "notes.dcm", "mimeType": "application/octet-stream", "buffer": b"no scan " * 64}
    page.get_by_test_id("stSidebar").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)


def attack(page: Page) -> None:
    """PGD-40 on a tumour, with the verdicts."""
    sample(page, "‘tumour’ 1")
    go(page, "Attack")
    page.locator(".st-key-attack button").click()
    page.locator(".st-key-verdict").wait_for(timeout=WAIT_MS)


def detect(page: Page) -> None:
    """What the detector is worth, attack by attack."""
    go(page, "Detect")
    page.locator(".st-key-detect-part").get_by_text("Recorded studies", exact=True).click()
    page.locator(".st-key-detect-section").get_by_text("ROC", exact=True).click()


def purify(page: Page) -> None:
    """The attacked tumour, purified in two ways."""
    attack(page)
    come_to_rest(page)
    go(page, "Purify")
    page.locator(".st-key-purify button").click()
    page.locator(".st-key-purify-play").wait_for(timeout=WAIT_MS)


def experts(page: Page) -> None:
    """Nine experts before an attack, under it, and after purification."""
    sample(page, "‘tumour’ 1")
    go(page, "Experts")
    page.get_by_text("Divided We Fall").click()
    come_to_rest(page)
    page.locator(".st-key-experts-attack button").click()
    page.get_by_text("Purified", exact=True).first.wait_for(timeout=WAIT_MS)


def looks(page: Page) -> None:
    """Where the nine experts look."""
    experts(page)
    come_to_rest(page)
    page.locator(".st-key-experts-section").get_by_text("Where they look", exact=True).click()
    come_to_rest(page)
    page.locator(".st-key-look button").click()
    page.get_by_text("The colours end").first.wait_for(timeout=WAIT_MS)


def faults(page: Page) -> None:
    """The top bit of the exponent of the largest weight, flipped."""
    sample(page, "‘tumour’ 1")
    go(page, "Faults")
    page.locator(".st-key-faults-largest button").first.click()
    settle(page)
    page.locator(".st-key-bit-30 button").first.click()


def encrypt(page: Page) -> None:
    """A server's answer on ciphertexts."""
    sample(page, "‘tumour’ 1")
    go(page, "Encrypt")
    page.locator(".st-key-encrypt button").click()
    page.get_by_text("Same answer as in the clear").wait_for(timeout=WAIT_MS)


def recovered(page: Page) -> None:
    """A scan recovered from its gradient."""
    sample(page, "‘tumour’ 1")
    go(page, "Encrypt")
    page.locator(".st-key-encrypt-section").get_by_text("Why bother", exact=True).click()
    settle(page)
    page.locator(".st-key-leak button").click()
    page.get_by_text("What each gives away").wait_for(timeout=WAIT_MS)


def audit(page: Page) -> None:
    """The sample cohort, worst case first."""
    go(page, "Audit")
    page.locator(".st-key-audit-start button").click()
    page.locator(".st-key-download-csv").wait_for(timeout=WAIT_MS)


SCENES: dict[str, Callable[[Page], None]] = {
    "home": home,
    "examine-clean": clean,
    "examine-attacked": attacked,
    "examine-evidence": evidence,
    "examine-error-map": error_map,
    "examine-refused": refused,
    "examine-volume": volume,
    "examine-wrong-file": wrong_file,
    "tour-educator": tour,
    "attack": attack,
    "detect": detect,
    "purify": purify,
    "audit": audit,
    "experts": experts,
    "experts-looks": looks,
    "faults": faults,
    "encrypt": encrypt,
    "encrypt-recovered": recovered,
}


def start_tour(page: Page, number: int) -> None:
    page.get_by_role("button", name="’s tour").nth(number).click()
    page.get_by_role("button", name="Next").wait_for(timeout=WAIT_MS)
    come_to_rest(page)


def go(page: Page, name: str) -> None:
    """Another page."""
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=name).click()
    come_to_rest(page)


def sample(page: Page, title: str) -> None:
    choose(page.get_by_test_id("stSidebar").get_by_label("Sample scans"), title)
    page.locator(".st-key-decision").wait_for(timeout=WAIT_MS)


def come_to_rest(page: Page) -> None:
    """Wait for the script, and for the charts, which draw a little later."""
    page.wait_for_timeout(500)
    settle(page)
    page.wait_for_timeout(1500)


def shoot(browser: Browser, url: str, scene: Callable[[Page], None], theme: str, width: int) -> bytes:
    """One scene as PNG."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHT[width]}, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    page.get_by_text("Sample scans").wait_for(timeout=WAIT_MS, state="attached")
    come_to_rest(page)
    scene(page)
    come_to_rest(page)
    png = page.screenshot()
    context.close()
    return png


def within_limit(png: bytes) -> bytes:
    """The picture, with fewer colours where it would be too large."""
    colours = 256
    while len(png) > LIMIT and colours >= 32:
        stream = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").quantize(colours).save(stream, "PNG", optimize=True)
        png, colours = stream.getvalue(), colours // 2
    return png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets/screenshots"))
    parser.add_argument("--themes", nargs="+", choices=("light", "dark"), default=["light", "dark"])
    parser.add_argument("--width", type=int, choices=sorted(HEIGHT), default=1440)
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    arguments = parser.parse_args()
    path = chromium_path()
    if path is None:
        parser.error("There is no Chromium on this machine.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    process, server = start_server()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for name in arguments.scenes:
                for theme in arguments.themes:
                    picture = within_limit(shoot(browser, server.url, SCENES[name], theme, arguments.width))
                    (arguments.out / f"{name}-{theme}.png").write_bytes(picture)
                    print(f"{name}-{theme}.png  {len(picture) // 1024} KB")
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
