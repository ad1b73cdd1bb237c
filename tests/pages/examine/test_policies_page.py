"""The policy is chosen in the sidebar, and decides who answers and whether anything is purified."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.attacks import PGD
from core.bundles import WEIGHTS
from core.scans import write_derived_png
from pages.shared.regions import keep_drawn
from pages.shared.viewer.drawn import Drawn
from tests.defended import scans
from tests.reading import opened, session, take_bundle, texts
from tests.two_questions import add_hardened, change_limits, write_bundle

NAME = "tiny-hardened"
FOUND = {"amv": 1e-12, "agreement": 1e9, "instability": 1e-12}


@pytest.fixture
def examined(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Examine, with a bundle of both policies that finds every scan altered and flagged."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "brain-mri").symlink_to(WEIGHTS / "brain-mri", target_is_directory=True)
    change_limits(add_hardened(write_bundle(weights, NAME)), **FOUND)
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)
    write_derived_png(tmp_path / "scan.png", scans(1).pixels[0, 0].numpy())
    take_bundle(app.run(), NAME, "home")
    app.sidebar.file_uploader[0].upload("scan.png", (tmp_path / "scan.png").read_bytes())
    return opened(app.run(), "examine")


def choose(app: AppTest, policy: str) -> None:
    app.segmented_control(key="policy").set_value(policy).run()
    assert not app.exception and not app.error


@pytest.mark.slow
def test_under_the_hardened_policy_nothing_is_purified(examined: AppTest) -> None:
    assert session(examined).examination.purification and "standing up" not in texts(examined)
    choose(examined, "hardened")
    exam, said = session(examined).examination, texts(examined)
    assert exam.purification is None and exam.prediction.classifier == "hardened" and exam.flagged
    assert "answers on the scan itself, so nothing is purified" in said
    assert "Nothing: under the hardened policy the classifier is given every scan as it is." in said
    assert "nothing is purified." in "".join(caption.value for caption in examined.sidebar.caption)
    choose(examined, "clinical")
    assert session(examined).examination.purification and session(examined).classifier == "resnet18"


@pytest.mark.slow
def test_the_region_says_why_nothing_was_purified(examined: AppTest) -> None:
    keep_drawn(session(examined), session(examined).scan, Drawn(0, "ellipse", ((8.0, 8.0), (22.0, 22.0))))
    choose(examined, "hardened")
    said = texts(examined)
    assert "**Nothing was purified**: under the hardened policy the classifier is given every scan as it is." in said
    assert "as the scan was not flagged" not in said


@pytest.mark.slow
def test_a_copy_that_was_made_to_deceive_another_says_so(examined: AppTest) -> None:
    scan, said = session(examined).scan, "was attacked to deceive the classifier resnet18, and not hardened"
    session(examined).take_attacked(scan, session(examined).examination, PGD)
    assert "to deceive" not in texts(examined.run())
    choose(examined, "hardened")
    assert said in texts(examined) and said in texts(opened(examined, "purify"))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["detect", "attack", "purify", "audit", "faults", "experts", "encrypt"])
def test_every_page_works_under_the_hardened_policy(examined: AppTest, page: str) -> None:
    choose(examined, "hardened")
    opened(examined, page)


@pytest.mark.slow
def test_the_cards_say_why_an_altered_scan_is_not_purified(examined: AppTest) -> None:
    choose(examined, "hardened")
    opened(examined, "attack").segmented_control(key="attack-target").set_value("Whole defence").run()
    assert "Nothing is purified, so that no noise is hidden." in texts(examined)
    examined.button(key="attack").click().run()
    assert not examined.exception
    assert "The hardened policy purifies nothing." in texts(examined) and "gave no reason" not in texts(examined)


def test_a_bundle_of_one_policy_offers_no_choice(app: AppTest) -> None:
    app.run()
    opened(app, "faults")
    app.selectbox(key="bundle").select("chest-xray").run()
    assert not [control for control in app.get("button_group") if control.key == "policy"]
