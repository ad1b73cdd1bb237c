"""The pages with bundles that tell what is altered from what is misleading, and a bundle of one question."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core import Prediction
from core.bundles import WEIGHTS
from core.evaluation.reliability import reliability
from pages.examine.sentences import ELSEWHERE, answer, fit, integrity
from pages.shared.words import said_of
from tests.defended import invented_calibration, scans
from tests.reading import opened, session, take_bundle, texts
from tests.two_questions import change_limits, write_bundle

NEVER, ALWAYS = 1e9, 1e-12
#: What each of these bundles finds in any scan.
LIMITS = {
    "tiny-quiet": {"amv": NEVER, "agreement": NEVER, "instability": NEVER},
    "tiny-altered": {"amv": ALWAYS, "agreement": NEVER, "instability": NEVER},
    "tiny-misleading": {"amv": NEVER, "agreement": NEVER, "instability": ALWAYS},
    "tiny-both": {"amv": ALWAYS, "agreement": NEVER, "instability": ALWAYS},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "brain-mri").symlink_to(WEIGHTS / "brain-mri", target_is_directory=True)
    for name, limits in LIMITS.items():
        change_limits(write_bundle(folder, name), **limits)
    return folder


@pytest.fixture
def page(weights: Path, app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], AppTest]:
    """A page with one of the bundles chosen and a scan on the table."""
    from core.scans import write_derived_png

    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)
    write_derived_png(tmp_path / "scan.png", scans(1).pixels[0, 0].numpy())

    def visited(bundle: str, name: str) -> AppTest:
        take_bundle(app.run(), bundle, "home")
        app.sidebar.file_uploader[0].upload("scan.png", (tmp_path / "scan.png").read_bytes())
        app.run()
        opened(app, name)
        assert session(app).bundle == bundle and not app.exception and not app.error
        return app

    return visited


def badges(app: AppTest) -> str:
    return " ".join(mark.value for mark in app.markdown if "-badge[" in mark.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bundle, badge, sentence, why",
    [
        ("tiny-quiet", None, "and the answer doesn’t hang on details", "Why not flagged:"),
        ("tiny-altered", "Altered, no alarm", "there is no alarm", "Why altered:** attention variation is above"),
        ("tiny-misleading", "Flagged: may", "Nothing was found to be added", "Why flagged:** decision instability is"),
        ("tiny-both", "Flagged: may", "Something was added to the pixels, and", "Why flagged:** decision instability"),
    ],
)
def test_the_card_speaks_three_sentences(page, bundle: str, badge: str | None, sentence: str, why: str) -> None:
    app = page(bundle, "examine")
    said = texts(app)
    integrity_line, answer, fit = (
        next(mark.value for mark in app.markdown if f"**{name}.**" in mark.value)
        for name in ("Integrity", "Answer", "Fit")
    )
    assert sentence in integrity_line and "calibrated on 80 scans" in answer and "of the distance" in fit
    assert "tumour" in answer.lower() and "tumour" not in integrity_line.lower() + fit.lower()
    assert "green-badge" not in badges(app)
    assert (badge in badges(app)) if badge else ("Flagged" not in badges(app) and "Altered" not in badges(app))
    assert why in said
    assert bool(session(app).examination.purification) == (bundle != "tiny-quiet")


@pytest.mark.slow
def test_what_tells_nothing_is_grey_last_and_never_ticked(page) -> None:
    lines = next(mark.value for mark in page("tiny-quiet", "examine").markdown if mark.value.startswith("- "))
    blind = [line for line in lines.splitlines() if "doesn’t tell attacked" in line]
    assert any("Reconstruction error" in line for line in blind)
    assert all(line.startswith("- :gray[") and "check" not in line for line in blind)
    assert lines.splitlines()[-len(blind) :] == blind


@pytest.mark.slow
def test_examine_and_detect_offer_the_map_of_what_was_added(page) -> None:
    app = page("tiny-altered", "examine")
    shown = next(control for control in app.get("button_group") if control.key == "overlay")
    assert "What was added" in [option.content for option in shown.proto.options]
    assert "Added signal" in texts(app)
    app = page("tiny-altered", "detect")
    assert "**This scan is altered:** attention variation above the threshold. **It is not flagged:**" in texts(app)
    assert "hides a half of the patches" in texts(app) and "Above: altered" in texts(app)
    assert "No threshold" in texts(app)  # the reconstruction error


@pytest.mark.slow
@pytest.mark.parametrize("section", ["Scores", "Thresholds", "ROC", "Stress", "Benign changes", "Your scanner"])
def test_every_section_of_detect_works(page, section: str) -> None:
    app = page("tiny-both", "detect")
    now = section == "Your scanner"
    app.segmented_control(key="detect-part").set_value("Measured now" if now else "Recorded studies").run()
    app.segmented_control(key="detect-now" if now else "detect-section").set_value(section).run()
    assert not app.exception and not app.error
    if section == "Thresholds":
        said = texts(app)
        assert "raises no alarm" in said and "Clean and altered" in [metric.label for metric in app.metric]
        assert "By site" in [header.value for header in app.subheader]
        assert list(app.table[0].value["Site"]) == ["north", "south"]
    if section == "ROC":
        assert "Altered: both together" in app.table[0].value.columns


def test_of_one_question_nobody_speaks_of_altered() -> None:
    """Whatever is above its threshold is the alarm."""
    found = SimpleNamespace(flagged=True, flagged_by=("amv", "instability"), asks_altered=False, altered=None)
    assert "attention variation and decision instability" in integrity(found)
    quiet = SimpleNamespace(flagged=False, flagged_by=(), asks_altered=False, altered=None)
    assert integrity(quiet).startswith("Nothing was found.") and said_of(quiet) == "Not flagged"
    assert said_of(found) == "Flagged"
    assert "Not checked" in integrity(None)


def told_of(classifier: str = "resnet18", distance: float = 1.0, purified: bool = True) -> SimpleNamespace:
    """A scan, purified or not, that is answered by this classifier, so far from the training scans."""
    return SimpleNamespace(
        prediction=Prediction(classifier, {"no tumour": 0.1, "tumour": 0.9}), purification=purified or None,
        kept_borderline=False, left_alone=False,
        undefended=Prediction("resnet18", {"no tumour": 0.8, "tumour": 0.2}), sequence=None, plane=None, refused=None,
        scope_distance=distance, scope_limit=2.0,
    )  # fmt: skip


def test_what_is_known_of_one_classifier_and_of_scans_is_not_told_of_another_and_of_estimates() -> None:
    bundle = SimpleNamespace(classes=("no tumour", "tumour"), sequences=("T1",), acquisition=None, lacks=None)
    known = reliability(invented_calibration())
    own = answer(told_of(purified=False), bundle, known)
    assert "calibrated on" in own and ELSEWHERE not in own
    estimate = answer(told_of(), bundle, known)
    assert "network says 90.0 %, which isn’t calibrated" in estimate and estimate.endswith(ELSEWHERE)
    robust = answer(told_of("robust"), bundle, known)
    assert "robust classifier says 90.0 %, which isn’t calibrated" in robust and robust.endswith(ELSEWHERE)
    no_sequences = SimpleNamespace(**vars(bundle) | {"sequences": ()})
    assert "sequence" not in answer(told_of(purified=False), no_sequences, known)


def test_a_scan_at_the_edge_is_called_so() -> None:
    bundle = SimpleNamespace(acquisition=None, lacks=None)
    known = reliability(invented_calibration())
    assert "as the model was made for" in fit(told_of(distance=float(known.scope[0])), bundle, known)
    assert "At the edge" in fit(told_of(distance=float(known.scope[-1]) + 0.1), bundle, known)
