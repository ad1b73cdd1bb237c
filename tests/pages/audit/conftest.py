"""The Audit page, with a small cohort."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.audit.helpers import packed, upload


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def page(app: AppTest) -> AppTest:
    app.switch_page("pages/audit/page.py").run()
    assert not app.exception and not app.error
    return app


@pytest.fixture
def audited(page: AppTest) -> AppTest:
    """The Audit page with a small cohort that is done."""
    upload(page, "ward.zip", packed())
    page.button(key="audit-start").click().run()
    assert not page.exception
    return page
