"""Nothing that a file says becomes a link: only a browser shows what its Markdown makes of a text."""

import io
from collections.abc import Callable
from pathlib import Path

import pydicom
from helpers import WAIT_MS, settle, upload
from playwright.sync_api import Page, expect

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
HOSTILE = "www.example.org a@example.org http://example.org"


def hostile_file() -> bytes:
    """A real slice whose machine is a link."""
    ds = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small.dcm", download=False))
    ds.Manufacturer, ds.ManufacturerModelName = "http://example.org", "a@example.org :smile:"
    stream = io.BytesIO()
    ds.save_as(stream)
    return stream.getvalue()


def test_no_text_of_a_file_is_a_link(open_app: Callable[[], Page]) -> None:
    page = open_app()
    upload(page, f"{HOSTILE}.dcm", hostile_file())
    expect(page.get_by_role("table", name="Technical tags of the scan")).to_contain_text("smile", timeout=WAIT_MS)
    settle(page)
    seen = page.get_by_test_id("stApp").inner_text().replace("\u2060", "")
    assert seen.count("www.example.org") >= 2 and "http://example.org" in seen and ":smile:" in seen
    assert page.locator("a[href*='example.org']").count() == 0
