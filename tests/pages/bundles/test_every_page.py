"""Every page on every bundle that comes with Purescan: it works with what the bundle has, or says what is missing."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.bundles.loading import shipped_names
from core.scans import sample_scans
from tests.reading import opened, session, take_bundle

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py"))
WITH_SAMPLES = [name for name in shipped_names() if sample_scans(name)]


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_names())
def test_every_page_opens_without_a_scan(app: AppTest, name: str) -> None:
    take_bundle(app, name, "home")
    for page in PAGES:
        opened(app, page)
        assert app.title and session(app).bundle == name, page


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_every_page_works_on_a_sample_of_the_bundle(app: AppTest, name: str) -> None:
    take_bundle(app, name, "examine")
    sample = sample_scans(name)[-1]
    app.selectbox(key="sample").select(sample.key).run()
    for page in PAGES:
        opened(app, page)
        assert app.title and session(app).bundle == name, page
        assert session(app).scan.name == sample.path.name, page
    exam = session(app).examination
    assert exam.bundle == name and exam.label and not exam.refused
