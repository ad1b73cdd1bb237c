"""Every page by axe-core's rules, light and dark, wide and narrow, and before a class: nothing serious or worse."""

from collections.abc import Callable
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from helpers import WAIT_MS, decision, settle
from playwright.sync_api import Page, expect

from tests.app_server import Server

PAGES = (
    "Home",
    "Examine",
    "Attack",
    "Purify",
    "Detect",
    "Across tasks",
    "Audit",
    "Experts",
    "Faults",
    "Encrypt",
    "Federate",
)
GRAVE = ("serious", "critical")
DRAWN_MS = 3_000
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 1440), ("dark", 1440), ("dark", 820))
# The list of pages in the sidebar is Streamlit's own markup.
RULES = {"exclude": [["[data-testid=stSidebarNav]"]]}


def grave(page: Page) -> list[str]:
    """What axe finds, a line each; and goes on finding: a chart that a busy browser still draws may be too large."""
    settle(page)
    for _ in range(3):
        lines = found_now(page)
        if not lines:
            break
        page.wait_for_timeout(DRAWN_MS)
    return lines


def found_now(page: Page) -> list[str]:
    """What axe finds in this moment, a line each."""
    found = Axe().run(page, context=RULES).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:120]} ({(node['any'] or node['all'] or node['none'])[0]['message']})"
        for fault in found
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


def look(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    """Have the page drawn in these colours and this wide."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1000})
    expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
    settle(page)


def in_every_look(page: Page, name: str) -> dict[str, list[str]]:
    """What axe finds in each of the looks; the page is left in the first one, for whoever goes on."""
    faults = {}
    for scheme, width in LOOKS:
        look(page, scheme, width)
        faults[f"{name}, {scheme}, {width} wide"] = grave(page)
    look(page, *LOOKS[0])
    return faults


def test_no_page_has_a_serious_fault(open_app: Callable[[], Page]) -> None:
    page = open_app()
    look(page, *LOOKS[0])
    page.get_by_role("link", name="Examine", exact=True).click()
    page.locator(".st-key-start-tumour-01 button").wait_for(timeout=WAIT_MS)
    faults = in_every_look(page, "no scan")
    page.locator(".st-key-start-tumour-01 button").click(timeout=WAIT_MS)
    decision(page, "tumour-01.dcm")
    for name in PAGES:
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("heading", level=1).first.wait_for(timeout=WAIT_MS)
        faults |= in_every_look(page, name)
    assert len(faults) == len(LOOKS) * (len(PAGES) + 1)
    assert not {name: lines for name, lines in faults.items() if lines}


def test_no_page_has_a_serious_fault_before_a_class(open_app: Callable[[], Page], server: Server) -> None:
    page, faults = open_app(), {}
    settle(page)
    for name in PAGES[1:]:
        page.goto(f"{server.url}/{name.lower().split()[0]}?sample=tumour-01&view=class", timeout=WAIT_MS)
        page.locator(".st-key-class-bar").wait_for(timeout=WAIT_MS)
        faults[name] = grave(page)
    assert not {name: lines for name, lines in faults.items() if lines}
