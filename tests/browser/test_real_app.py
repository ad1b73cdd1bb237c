"""The real app in a real browser: what only a server, sockets and several visitors can show."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import WAIT_MS, decision, settle, upload
from playwright.sync_api import Browser, Page, expect
from pydicom.data import get_testdata_file

from core import examine, load_bundle, load_scan
from core.attacks import attack_scan
from core.bundles.loading import shipped_names
from core.scans import sample_scans, write_derived_dicom
from pages.shared.words import heading
from tests.browser.test_security import PAGES

Visit = Callable[[], Page]
SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
FIRST_PAGE_SECONDS = 3.0
FIRST_PAGE_TRIES = 10


def installed(name: str) -> bytes:
    """A DICOM file that comes with pydicom."""
    return Path(get_testdata_file(name, download=False)).read_bytes()


def ours(name: str) -> bytes:
    """A sample of the repository, which the bundle has an answer to."""
    return (SAMPLES / f"{name}.dcm").read_bytes()


def expected_words(content: bytes, name: str) -> str:
    """The label that the card must show as a line of its own, by core's own account."""
    label = examine(load_scan(content, name=name), load_bundle()).label
    assert label is not None, "A refused scan would show the same as any other."
    return heading(label)


def test_examine_opens_from_its_own_address(browser: Browser, server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/examine")
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="Examine a scan")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Sample scans")).to_be_visible(timeout=WAIT_MS)
    context.close()


def test_first_page_within_three_seconds(browser: Browser, server, open_app: Visit) -> None:
    open_app()  # warm: the models are loaded
    seconds = [math.inf]
    while len(seconds) <= FIRST_PAGE_TRIES and min(seconds) > FIRST_PAGE_SECONDS:
        context = browser.new_context()
        page = context.new_page()
        start = time.perf_counter()
        page.goto(server.url)
        page.get_by_role("heading", name="See a medical image classifier attacked").wait_for(timeout=WAIT_MS)
        seconds.append(time.perf_counter() - start)
        context.close()
    # The best of several: what the app needs, not what else the machine was doing.
    assert min(seconds) <= FIRST_PAGE_SECONDS, seconds


def test_home_plays_its_story_once(open_app: Visit) -> None:
    page = open_app()
    stage = page.locator(".stage").nth(2)
    page.get_by_role("button", name="Play again").click(timeout=WAIT_MS)
    expect(stage.locator(".answer")).to_contain_text("…")
    expect(page.get_by_role("button", name="Play again")).to_be_visible(timeout=WAIT_MS)
    expect(stage.locator(".answer")).to_contain_text("%")


def test_nothing_is_fetched_from_outside(browser: Browser, server) -> None:
    context = browser.new_context()
    page = context.new_page()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(server.url)
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    page.get_by_role("link", name="Examine").click()
    page.locator(".st-key-start-mr-small button").click(timeout=WAIT_MS)
    decision(page, "MR_small.dcm")
    outside = [url for url in urls if not url.startswith((server.url, "data:", "blob:"))]
    context.close()
    assert urls and not outside


def test_uploaded_dicom_gets_its_decision(open_app: Visit) -> None:
    page, content = open_app(), ours("tumour-01")
    upload(page, "slice.dcm", content)
    card = decision(page, "slice.dcm")
    assert expected_words(content, "slice.dcm") in card.splitlines()
    assert "seed 0" in card
    picture = page.get_by_role("img", name="Scan slice.dcm, slice 1 of 1")
    expect(picture).to_be_visible(timeout=WAIT_MS)


def test_attacked_upload_is_flagged_and_gets_the_defended_label(open_app: Visit, tmp_path: Path) -> None:
    scan = attack_scan(load_scan(ours("tumour-01"), name="tumour-01.dcm"), load_bundle())
    path = write_derived_dicom(tmp_path / "attacked.dcm", scan.frame(), kind="attacked", description="PGD for a test")
    page = open_app()
    upload(page, path.name, path.read_bytes())
    card = [line for line in decision(page, path.name).splitlines() if line.strip()]
    exam = examine(load_scan(path), load_bundle())
    assert exam.prediction and exam.undefended and exam.purification
    assert any("Flagged: may have been" in line for line in card)  # after the name of its icon
    assert expected_words(path.read_bytes(), path.name) in card
    assert heading(exam.prediction.label) == card[card.index("After purification") + 1]


def test_files_dropped_together_are_a_study_and_the_next_takes_its_place(open_app: Visit) -> None:
    page = open_app()
    settle(page)
    files = [("a.dcm", "tumour-01"), ("b.dcm", "no-tumour-01")]
    dropped = [{"name": name, "mimeType": "", "buffer": ours(key)} for name, key in files]
    page.get_by_test_id("stSidebar").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        [*dropped, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello there"}]
    )
    decision(page, "a.dcm and 2 more")
    expect(page.get_by_text("1 other file was left out.")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    upload(page, "slice.dcm", ours("tumour-02"))
    decision(page, "slice.dcm")
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)


def test_garbage_gets_its_sentence_and_the_scan_stays(open_app: Visit) -> None:
    page = open_app()
    upload(page, "slice.dcm", installed("MR_small.dcm"))
    before = decision(page, "slice.dcm")
    upload(page, "garbage.dcm", bytes(range(256)) * 40)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("garbage.dcm", timeout=WAIT_MS)
    settle(page)
    assert "Traceback" not in page.content()
    expect(page.locator(".st-key-decision")).to_have_text(before, use_inner_text=True)


def test_two_visitors_do_not_change_each_other_s_result(open_app: Visit) -> None:
    first, second = open_app(), open_app()
    scans = {"first.dcm": ours("tumour-01"), "second.dcm": ours("no-tumour-01")}
    words = {name: expected_words(content, name) for name, content in scans.items()}
    assert words["first.dcm"] != words["second.dcm"]
    upload(first, "first.dcm", scans["first.dcm"])
    upload(second, "second.dcm", scans["second.dcm"])
    assert words["first.dcm"] in decision(first, "first.dcm").splitlines()
    assert words["second.dcm"] in decision(second, "second.dcm").splitlines()
    upload(second, "third.dcm", installed("CT_small.dcm"))
    assert "No answer" in decision(second, "third.dcm")
    assert words["first.dcm"] in decision(first, "first.dcm").splitlines()
    first.get_by_text("Error map").click()
    settle(first)
    expect(first.get_by_role("heading", name="first.dcm", exact=True)).to_be_visible()
    expect(second.get_by_role("heading", name="third.dcm", exact=True)).to_be_visible()


def test_every_page_has_an_address_that_can_be_loaded_again(open_app: Visit, server) -> None:
    page = open_app()
    titles = {
        "examine": "Examine a scan",
        "attack": "Attack a scan",
        "purify": "Purify a scan",
        "detect": "Judge the detector",
        "across": "Does the defence carry over?",
        "audit": "Audit a cohort",
    }
    for address, title in titles.items():
        page.goto(f"{server.url}/{address}")
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=WAIT_MS)
        page.reload()
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=WAIT_MS)
        assert urlsplit(page.url).path == f"/{address}"


@pytest.mark.parametrize("name", shipped_names())
def test_every_page_works_on_a_sample_of_every_bundle(open_app: Visit, server, name: str) -> None:
    page, faults = open_app(), list[str]()
    page.on("pageerror", lambda error: faults.append(str(error)))
    sample = sample_scans(name)[0]
    page.goto(f"{server.url}/examine?bundle={name}&sample={sample.key}")
    assert "confidence" in decision(page, sample.path.name)
    for title in PAGES:
        page.get_by_role("link", name=title, exact=True).first.click()
        expect(page.get_by_role("link", name=title, exact=True).first).to_have_attribute("aria-current", "page")
        settle(page)
        expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=WAIT_MS)
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count(), title
    assert not faults
