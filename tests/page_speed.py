"""How soon every page shows something useful after its click, and how soon what is pressed is answered.

python -m tests.page_speed

Only worth something on an idle machine; what load it had meanwhile is printed with the figures.
"""

import os
import sys
from pathlib import Path
from time import monotonic

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent / "browser"))
from conftest import chromium_path, start_server  # noqa: E402
from helpers import WAIT_MS, decision, settle  # noqa: E402

MOST_SHOWN_MS, MOST_ANSWERED_MS = 3000, 200
# Page → its title, what is useful of it once a scan is chosen, and what is pressed there.
PAGES = {
    "Attack": ("Attack a scan", "[data-testid=stMain] [data-testid=stImage] img", ".st-key-attack button"),
    "Purify": ("Purify a scan", ".st-key-comparison canvas", ".st-key-purify button"),
    "Detect": ("Judge the detector", "[data-testid=stPlotlyChart] .main-svg", ".st-key-detect-part button >> nth=1"),
    "Audit": ("Audit", ".st-key-audit-start button", ""),
    "Experts": ("Open up the experts", "[data-testid=stPlotlyChart] .main-svg", ".st-key-experts-attack button"),
    "Faults": ("Flip a bit", ".st-key-faults-before img", ".st-key-faults-flip button"),
    "Encrypt": ("Ask without showing", ".st-key-encrypt-client img", ".st-key-encrypt button"),
    "Federate": ("Train together", "[data-testid=stPlotlyChart] .main-svg", ""),
    "Home": ("See a medical image", ".st-key-tour-educator button", ""),
    "Examine": ("", ".st-key-picture canvas", ".st-key-overlay button >> nth=1"),
}
# Until the app has begun to draw the page anew, which it shows at once.
ANSWERED = """(button) => new Promise((tell) => {
  const app = document.querySelector("[data-testid=stApp]"), began = performance.now();
  const answered = () => app.dataset.testScriptState !== "notRunning";
  const look = () => (answered() ? tell(performance.now() - began) : requestAnimationFrame(look));
  button.click();
  look();
})"""


def shown_after(page: Page, name: str) -> float:
    """Milliseconds from the click on a page's name until what is useful of it is seen."""
    title, useful, _ = PAGES[name]
    began = monotonic()
    page.get_by_role("link", name=name, exact=True).first.click()
    if title:
        page.get_by_role("heading", level=1).filter(has_text=title).wait_for(timeout=WAIT_MS)
    page.locator(useful).first.wait_for(timeout=WAIT_MS)
    return 1000 * (monotonic() - began)


def measure(page: Page) -> bool:
    """Print all of it; whether nothing is slower than it may be."""
    good = True
    for name, (_, _, pressed) in PAGES.items():
        shown, answered = shown_after(page, name), 0.0
        settle(page)
        if pressed:
            answered = page.locator(pressed).first.evaluate(ANSWERED)
            settle(page)
        load = os.getloadavg()[0]
        print(f"{name:8} shown after {shown:6.0f} ms, a press answered after {answered:4.0f} ms; load {load:.1f}")
        good = good and shown <= MOST_SHOWN_MS and answered <= MOST_ANSWERED_MS
    return good


def main() -> int:
    process, server = start_server()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{server.url}/examine?sample=tumour-01", timeout=WAIT_MS)
            page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
            decision(page, "tumour-01.dcm")
            good = measure(page)
            browser.close()
    finally:
        process.terminate()
        process.wait(20)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
