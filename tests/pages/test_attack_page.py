"""Attack: what is asked for, what is shown, and what goes when another scan comes."""

import gc
import io
import time
import weakref
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import examine, load_bundle, load_scan
from core.attacks import CORRUPTIONS, AttackSettings, attack_scan
from core.scans import sample_scans
from pages.attack.controls import BENIGN
from pages.attack.state import AttackRun, describe
from pages.attack.words import NO_ATTACKER
from tests.reading import session, texts
from tests.slowness import slow_down

Choose = Callable[[AppTest, str], AppTest]
OURS = [sample for sample in sample_scans("brain-mri") if sample.origin == "synthetic"]
SCAN = OURS[0].key


@pytest.fixture
def page(app: AppTest, choose: Choose) -> AppTest:
    """The Attack page with a sample, and PGD of five steps."""
    choose(app, SCAN)
    app.switch_page("pages/attack/page.py").run()
    assert not app.exception and not app.error
    app.number_input(key="attack-steps-pgd-40").set_value(5).run()
    return app


def attack(app: AppTest) -> AppTest:
    app.button(key="attack").click().run()
    assert not app.exception and not app.error
    return app


def test_start_offers_samples_and_stays_here(app: AppTest) -> None:
    app.switch_page("pages/attack/page.py").run()
    assert app.title[0].value == "Attack a scan"
    app.button(key="start-mr-small").click().run()
    assert session(app).scan.name == "MR_small.dcm"
    assert app.title[0].value == "Attack a scan"
    assert app.button(key="attack").label == "Attack"
    assert "Probability of" in texts(app)


@pytest.mark.slow
def test_the_page_does_what_core_does(page: AppTest) -> None:
    before = session(page).examination
    attack(page)
    attack_run = session(page).state_of(AttackRun)
    outcome = attack_run.outcome
    scan, models = load_scan(str(OURS[0].path)), load_bundle()
    settings = AttackSettings("pgd", steps=5)
    expected = attack_scan(scan, models, settings)
    assert np.array_equal(outcome.scan.frame(), expected.frame())
    assert outcome.examination.label == examine(expected, models).label
    assert attack_run.trajectory.steps == 5 and [snapshot.step for snapshot in attack_run.trajectory.snapshots] == list(
        range(6)
    )
    assert attack_run.trajectory.snapshots[0].probability == pytest.approx(before.undefended.confidence)
    last = attack_run.trajectory.snapshots[-1]
    assert last.probability == pytest.approx(outcome.examination.undefended.probabilities[attack_run.label], abs=1e-3)
    assert 255 * outcome.distance.linf == pytest.approx(8, abs=0.01)
    shown = texts(page)
    assert "The verdict" in shown and "5 steps in" in shown
    assert [metric.label for metric in page.metric] == ["SSIM", "PSNR", "ℓ∞", "ℓ2"]
    assert page.button(key="attack").label == "Attack again"


@pytest.mark.slow
def test_the_files_say_what_they_are(page: AppTest) -> None:
    attack_run = session(attack(page)).state_of(AttackRun)
    first = pydicom.dcmread(io.BytesIO(attack_run.outcome.dicom))
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "ATTACKED"]
    assert "pgd, linf, eps 8/255, 5 steps" in first.DerivationDescription
    original = pydicom.dcmread(OURS[0].path)
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert first[name].value != original[name].value
    assert Image.open(io.BytesIO(attack_run.outcome.png)).size == (128, 128)
    from_dicom, from_png = load_scan(attack_run.outcome.dicom, "a.dcm"), load_scan(attack_run.outcome.png, "a.png")
    assert np.array_equal(from_dicom.frame(), from_png.frame())
    assert from_dicom.derived == from_png.derived == "attacked"
    assert describe(attack_run) == first.DerivationDescription
    session(page).state_of(AttackRun).job.cut_short = True
    assert describe(attack_run).endswith("Stopped by hand after 5 steps.")
    session(page).state_of(AttackRun).job.abandoned = True
    assert describe(attack_run).endswith("Stopped as nobody watched after 5 steps.")


@pytest.mark.slow
def test_only_what_the_attack_takes_is_asked_for(page: AppTest) -> None:
    assert page.number_input(key="attack-restarts") and page.slider(key="attack-eps-linf").value == 8
    page.selectbox(key="attack-method").select("autoattack").run()
    assert not [box.key for box in page.number_input if "steps" in (box.key or "")]
    assert session(page).attack == AttackSettings("autoattack")
    page.selectbox(key="attack-method").select("patch").run()
    assert not [slider.key for slider in page.slider if "eps" in (slider.key or "")]
    page.selectbox(key="attack-method").select("ead").run()
    assert page.slider(key="attack-eps-l1").max == 200
    assert session(page).attack.norm == "l1"
    page.selectbox(key="attack-method").select("bpda").run()
    assert not [control.key for control in page.segmented_control if control.key == "attack-target"]
    page.segmented_control(key="attack-kind").set_value(BENIGN).run()
    page.slider(key="attack-severity").set_value(3).run()
    assert session(page).attack == AttackSettings(next(iter(CORRUPTIONS)), severity=3)
    assert NO_ATTACKER in texts(page)
    assert not page.exception


@pytest.mark.slow
def test_steps_follow_the_norm(page: AppTest) -> None:
    page.selectbox(key="attack-method").select("cw").run()
    assert page.number_input(key="attack-steps-cw-40").value == 40
    page.segmented_control(key="attack-norm-cw").set_value("l2").run()
    assert page.number_input(key="attack-steps-cw-100").value == 100
    assert session(page).attack == AttackSettings("cw", norm="l2", eps=2)


@pytest.mark.slow
def test_what_is_over_early_says_so(page: AppTest) -> None:
    page.selectbox(key="attack-method").select("square").run()
    page.slider(key="attack-eps-linf").set_value(16.0).run()
    attack_run = session(attack(page)).state_of(AttackRun)
    assert 1 <= attack_run.trajectory.steps < 5000
    description = pydicom.dcmread(io.BytesIO(attack_run.outcome.dicom)).DerivationDescription
    assert f"{attack_run.trajectory.steps} of at most 5000 steps" in description and "Stopped" not in description


@pytest.mark.slow
def test_a_benign_change_has_its_verdict(page: AppTest) -> None:
    page.segmented_control(key="attack-kind").set_value(BENIGN).run()
    page.selectbox(key="attack-benign").select("gamma").run()
    attack(page)
    assert session(page).state_of(AttackRun).outcome is not None
    assert "1 step in" in texts(page)


@pytest.mark.slow
def test_settings_survive_a_visit_elsewhere(page: AppTest) -> None:
    page.slider(key="attack-eps-linf").set_value(4.0).run()
    page.switch_page("pages/home/page.py").run()
    page.switch_page("pages/attack/page.py").run()
    assert session(page).attack == AttackSettings("pgd", eps=4, steps=5)


@pytest.mark.slow
def test_another_scan_drops_the_old_run(page: AppTest, choose: Choose) -> None:
    attack_run = session(attack(page)).state_of(AttackRun)
    assert attack_run.outcome
    choose(page, OURS[1].key)
    assert session(page).state_of(AttackRun) is None and attack_run.job.stopped
    assert page.title[0].value == "Attack a scan"
    assert "The verdict" not in texts(page)


@pytest.mark.slow
def test_another_seed_drops_the_old_run(page: AppTest) -> None:
    attack(page)
    session(page).seed = 3
    page.run()
    assert session(page).state_of(AttackRun) is None
    assert "The verdict" not in texts(page)


def test_a_photo_gets_one_sentence(app: AppTest) -> None:
    app.switch_page("pages/attack/page.py").run()
    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "PNG")
    app.sidebar.file_uploader[0].upload("holiday.png", picture.getvalue())
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert "it is in colour" in app.error[0].value.replace("\\", "")
    assert not [button for button in app.button if button.key == "attack"]


def test_a_mistake_gets_the_sentence_of_core(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ValueError("The target class must be between 0 and 1, not 7.")

    monkeypatch.setattr("core.attacks.attack_pixels", failing)
    page.button(key="attack").click().run()
    assert not page.exception
    assert [error.value.replace("\\", "") for error in page.error] == [
        "The target class must be between 0 and 1, not 7."
    ]
    assert "The verdict" not in texts(page)
    assert page.button(key="attack").label == "Attack again"


@pytest.mark.slow
def test_open_in_examine_and_back(page: AppTest) -> None:
    attack_run = session(attack(page)).state_of(AttackRun)
    original = session(page).scan
    page.button(key="open-in-examine").click().run()
    assert not page.exception and not page.error
    now = session(page)
    assert now.scan is attack_run.outcome.scan and now.origin is original
    assert now.examination.label == attack_run.outcome.examination.label
    assert "What the attack changed" in texts(page)
    page.switch_page("pages/attack/page.py").run()
    assert session(page).state_of(AttackRun) is attack_run
    assert "the attack begins again from" in texts(page)
    attack(page)
    assert session(page).state_of(AttackRun).scan is original
    assert np.array_equal(session(page).state_of(AttackRun).outcome.scan.frame(), attack_run.outcome.scan.frame())
    page.button(key="open-in-examine").click().run()
    assert session(page).origin is original


@pytest.mark.slow
def test_a_slice_of_a_volume_is_attacked_again(app: AppTest, choose: Choose) -> None:
    choose(app, "mni152")
    app.switch_page("pages/attack/page.py").run()
    next(slider for slider in app.slider if slider.label.startswith("Slice")).set_value(60).run()
    app.selectbox(key="attack-method").select("fgsm").run()
    attack(app)
    app.button(key="open-in-examine").click().run()
    app.switch_page("pages/attack/page.py").run()
    assert not app.exception
    assert session(app).target()[1] == 59
    assert session(app).state_of(AttackRun).before.frame_index == 59


@pytest.mark.slow
def test_the_class_view_shows_one_number_and_steps(page: AppTest) -> None:
    page.button(key="class-view").click().run()
    assert page.title[0].value == "PGD, ε = 8/255 (ℓ∞)"
    assert not page.selectbox(key="sample").disabled
    assert not [box for box in page.selectbox if box.key == "attack-method"]
    attack(page)
    attack_run = session(page).state_of(AttackRun)
    assert "Before the attack" in texts(page) and "After purification" in texts(page)
    assert attack_run.snapshot.step == 5
    for key, step in (("back", 4), ("start", 0), ("back", 0), ("next", 1), ("end", 5), ("next", 5)):
        page.button(key=f"attack-{key}").click().run()
        assert attack_run.snapshot.step == step
    page.button(key="attack-start").click().run()
    assert "After purification" not in texts(page) and "Original" in [title.value for title in page.title]
    page.button(key="class-view").click().run()
    assert session(page).attack.steps == 5
    assert page.number_input(key="attack-steps-pgd-40").value == 5


@pytest.mark.slow
def test_nothing_is_kept_of_an_earlier_run(page: AppTest) -> None:
    first = weakref.ref(session(attack(page)).state_of(AttackRun).trajectory)
    attack(page)
    gc.collect()
    assert first() is None


@pytest.mark.slow
@pytest.mark.parametrize("teaching", [False, True])
def test_steps_slower_than_the_page_are_drawn_once_each(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, teaching: bool
) -> None:
    session(page).visit.class_view = teaching
    page.run()
    slow_down(monkeypatch, "core.attacks.attack_pixels")
    monkeypatch.setattr("pages.attack.live_view.CHART_SECONDS", 0.0)
    attack(page)
    assert session(page).state_of(AttackRun).outcome


@pytest.mark.slow
def test_stop_leaves_what_was_done_so_far(page: AppTest) -> None:
    page.number_input(key="attack-steps-pgd-40").set_value(5000).run()
    from pages.attack.state import begin

    begin(session(page), session(page).examination)
    attack_run = session(page).state_of(AttackRun)
    deadline = time.monotonic() + 30
    while attack_run.trajectory.steps < 3:
        assert not attack_run.job.done and time.monotonic() < deadline
        time.sleep(0.01)
    attack_run.job.stop()
    assert attack_run.job.wait(5)
    page.run()
    assert not page.exception
    assert attack_run.outcome and 3 <= attack_run.trajectory.steps < 5000
    assert any("Stopped after" in info.value for info in page.info)
