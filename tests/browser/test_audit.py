"""The Audit page in a real browser: stop, resume, kill the server, go on, open a case, take the files away."""

import csv
import io
import re
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import WAIT_MS, settle
from playwright.sync_api import Browser, Page, expect

from tests.app_server import start_server

ASSETS = Path(__file__).resolve().parents[2] / "assets"
WORST = "tumour-01-pgd-8.dcm"
CLEAN = (*(f"tumour-{place:02d}.dcm" for place in range(1, 7)), *(f"no-tumour-{place:02d}.dcm" for place in (1, 4, 6)))
SCANS = len(CLEAN) + 1  # enough that a fast machine isn't done before Stop is pressed
ROW = 36  # the middle of the table's first row lies one and a half of these below its top


@pytest.fixture
def cohort() -> bytes:
    """Clean scans and an attacked one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in CLEAN:
            archive.write(ASSETS / "samples" / name, name)
        archive.write(ASSETS / "cohort" / WORST, WORST)
    return stream.getvalue()


@pytest.fixture
def pages(browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list]:
    """Servers with a cache of their own; what is in the list is closed in the end."""
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # or a fast machine has done all before Stop is pressed
    opened: list = []
    yield opened
    for context, process in opened:
        context.close()
        process.kill()
        process.wait(20)


def open_audit(browser: Browser, opened: list, cohort: bytes) -> Page:
    """A new server, a new visitor, and the cohort uploaded."""
    process, server = start_server()
    context = browser.new_context(viewport={"width": 1440, "height": 1400}, accept_downloads=True)
    opened.append((context, process))
    page = context.new_page()
    page.goto(server.url)
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    page.get_by_role("link", name="Audit").click()
    expect(page.locator(".st-key-audit-start button")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.get_by_test_id("stMain").get_by_text("Files or ZIP").click()
    settle(page)
    file = {"name": "ward.zip", "mimeType": "application/zip", "buffer": cohort}
    page.get_by_test_id("stMain").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_text(f"of {SCANS} scans are done")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return page


def done(page: Page) -> int:
    """How many scans are done, as the page says it at rest."""
    found = re.search(rf"(\d+) of {SCANS} scans are done", page.get_by_test_id("stMain").inner_text())
    assert found
    return int(found[1])


def run_until(page: Page, scans: int) -> None:
    """Press the button, and wait until so many scans are done or more."""
    page.locator(".st-key-audit-start button").click()
    counts = "|".join(str(count) for count in range(scans, SCANS + 1))
    # On the bar while it runs; a fast machine may have done the rest by the time one looks.
    expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(rf"(?<!\d)({counts}) of {SCANS}"), timeout=WAIT_MS)


def test_a_killed_server_loses_no_finished_scan(browser: Browser, pages: list, cohort: bytes, tmp_path: Path) -> None:
    page = open_audit(browser, pages, cohort)
    assert done(page) == 0
    run_until(page, 1)
    page.locator(".st-key-stop button").click()
    expect(page.get_by_text("Stopped. What is finished is kept")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    stopped = done(page)
    assert 1 <= stopped < SCANS
    run_until(page, stopped + 1)
    server = pages[0][1]
    server.send_signal(signal.SIGKILL)
    server.wait(20)
    (journal,) = (tmp_path / "audits").iterdir()
    finished = journal.read_text(encoding="utf-8").count('"sha256"')
    assert finished > stopped and "tumour-01" not in journal.read_text(encoding="utf-8")

    page = open_audit(browser, pages, cohort)
    assert done(page) == finished
    expect(page.get_by_text(f"{finished} were finished in an earlier run")).to_be_visible()
    if finished < SCANS:
        page.get_by_role("button", name="Resume the audit").click()
    expect(page.get_by_role("button", name="Audit again")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert done(page) == SCANS

    table = page.locator(".st-key-audit-table canvas").first.bounding_box()
    assert table
    page.mouse.click(table["x"] + 60, table["y"] + 1.5 * ROW)
    expect(page.locator(".st-key-case h3")).to_have_text(WORST, timeout=WAIT_MS)
    settle(page)
    expect(page.locator(".st-key-case")).to_contain_text("Answer changed: no tumour → tumour")
    assert all(image.get_attribute("alt") for image in page.locator(".st-key-case img").all())

    # Sorted by name, and sorted it stays when a case is opened: a second click finds the same row.
    page.mouse.click(table["x"] + 60, table["y"] + ROW / 2)
    for _ in range(2):
        page.wait_for_timeout(1000)
        settle(page)
        page.mouse.click(table["x"] + 60, table["y"] + 1.5 * ROW)
        expect(page.locator(".st-key-case h3")).to_have_text(sorted([*CLEAN, WORST])[0], timeout=WAIT_MS)

    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("button", name="Table (CSV)").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert {row["name"] for row in rows} == {f"scan {place}" for place in range(1, SCANS + 1)}
    assert rows[0]["name"] == f"scan {SCANS}"
    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("button", name="Report (HTML)").click()
    assert download.value.suggested_filename == "purescan-audit-cohort.html"
    report = tmp_path / "report.html"
    download.value.save_as(report)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name=f"The worst {SCANS} cases in pictures")).to_be_visible()
    assert [url for url in loaded if not url.startswith(("data:", "file:"))] == []
    widths = page.locator("section img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(widths) == SCANS * 4 and min(widths) >= 256
