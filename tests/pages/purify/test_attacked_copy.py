"""Which scans stand in Purify: an attacked one at once, a photo never; and how pictures are compared."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import Scan, load_scan
from core.scans import sample_scans
from pages.attack.state import AttackRun
from pages.shared.regions import keep_drawn
from pages.shared.viewer.comparison import compared
from pages.shared.viewer.drawn import Drawn
from tests.reading import session, texts

Choose = Callable[[AppTest, str], AppTest]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the browser is told to compare, the last at the end."""
    calls: list[dict] = []

    def noted(*given: object) -> dict:
        calls.append(compared(*given))
        return calls[-1]

    monkeypatch.setattr("pages.shared.viewer.comparison.compared", noted)
    return calls


def test_the_browser_is_told_all_it_needs() -> None:
    scan: Scan = load_scan(next(sample for sample in sample_scans() if sample.key == "tumour-01").path)
    pixels, mask = np.full((1, 128, 128), 0.5, np.float32), np.zeros((128, 128), bool)
    mask[40:60, 30:50] = True
    data = compared({"Original": pixels, "Attacked": pixels / 2}, scan, (128, 128), mask)
    assert data["names"] == ["Original", "Attacked"] and data["volume"]["shape"] == (2, 128, 128)
    assert data["volume"]["channels"] == 1 and len(data["colours"]) == 256
    columns, rows = zip(*data["outline"][0])
    assert (min(columns), max(columns), min(rows), max(rows)) == pytest.approx((30, 50, 40, 60), abs=0.5)
    assert compared({"Input": pixels.repeat(3, 0)}, scan, (128, 128), None)["outline"] is None


@pytest.mark.slow
def test_the_attacked_copy_is_carried_over(app: AppTest, choose: Choose, told: list[dict]) -> None:
    choose(app, "tumour-01")
    app.switch_page("pages/attack/page.py").run()
    app.selectbox(key="attack-method").select("fgsm").run()
    app.button(key="attack").click().run()
    app.switch_page("pages/purify/page.py").run()
    assert not app.exception and not app.error
    original, copy = session(app).origin, session(app).scan
    assert original.derived != "attacked" and copy.derived == "attacked"
    assert "Its clean original is known" in texts(app)
    app.switch_page("pages/attack/page.py").run()
    app.button(key="attack").click().run()
    app.switch_page("pages/purify/page.py").run()
    assert session(app).scan is not copy and session(app).origin is original  # the last one counts
    app.button(key="take-original").click().run()
    assert session(app).scan is original and session(app).origin is None
    app.switch_page("pages/attack/page.py").run()
    assert session(app).state_of(AttackRun).outcome
    app.switch_page("pages/purify/page.py").run()
    assert session(app).scan is original and not app.exception


@pytest.mark.slow
def test_pictures_are_compared_with_the_region_on_them(app: AppTest, choose: Choose, told: list[dict]) -> None:
    choose(app, "tumour-01")
    keep_drawn(session(app), session(app).scan, Drawn(0, "ellipse", ((50.0, 50.0), (70.0, 75.0))))
    app.switch_page("pages/attack/page.py").run()
    app.button(key="attack").click().run()
    assert told[-1]["names"] == ["Original", "Attacked", "Purified"] and told[-1]["outline"]
    line = told[-1]["outline"]
    app.button(key="class-view").click().run()
    app.button(key="attack-back").click().run()
    assert told[-1]["names"] == ["Original", "After step 39"]
    app.button(key="class-view").click().run()
    app.switch_page("pages/purify/page.py").run()
    assert told[-1]["names"] == ["Original", "Attacked", "Purified"] and told[-1]["outline"] == line
    app.button(key="purify").click().run()
    app.segmented_control(key="purify-section").set_value("What changed").run()
    assert told[-1]["names"] == ["Original", "Attacked", "Purified"] and told[-1]["outline"] == line
    assert not app.exception and not app.error
    app.segmented_control(key="purify-section").set_value("Watch").run()
    app.button(key="take-original").click().run()
    app.button(key="purify").click().run()
    app.segmented_control(key="purify-section").set_value("What changed").run()
    assert told[-1]["names"] == ["Input", "Purified"] and not app.exception


def test_a_photo_gets_one_sentence(app: AppTest) -> None:
    app.switch_page("pages/purify/page.py").run()
    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "PNG")
    app.sidebar.file_uploader[0].upload("holiday.png", picture.getvalue())
    app.run()
    assert not app.exception and len(app.error) == 1
    assert "it is in colour" in app.error[0].value.replace("\\", "")
    assert not [button for button in app.button if button.key == "purify"]
