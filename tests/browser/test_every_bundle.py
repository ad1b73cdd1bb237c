"""Every page on every bundle, in the browser: its samples open, and no page has an error to show."""

import pytest
from helpers import WAIT_MS, decision, settle
from playwright.sync_api import Page, expect

from core.bundles.loading import shipped_names
from core.scans import sample_scans
from tests.app_server import Server
from tests.browser.test_security import PAGES


@pytest.mark.parametrize("name", shipped_names())
def test_every_page_works_on_a_sample(open_app, server: Server, name: str) -> None:
    page: Page = open_app()
    faults: list[str] = []
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
