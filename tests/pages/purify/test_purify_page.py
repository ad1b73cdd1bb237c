"""Purify: what is asked for, what is shown, and what goes when another scan comes."""

import io
import time
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import Scan, load_bundle, load_scan
from core.attacks import attack_scan
from core.evaluation.tradeoff import made_with_today
from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings
from core.scans import sample_scans
from pages.purify.controls import in_short
from pages.purify.curves import RECONSTRUCTION
from pages.purify.seeds import SeedsState, verdict
from pages.purify.state import PurifyState, begin
from pages.purify.tradeoff import NOT_YET
from pages.shared.regions import keep_drawn
from pages.shared.viewer.drawn import Drawn
from tests.reading import session, texts
from tests.slowness import slow_down

Choose = Callable[[AppTest, str], AppTest]
SCAN, OTHER = [sample for sample in sample_scans() if sample.key.startswith("tumour")][:2]


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="purify-section").set_value(name).run()
    assert not app.exception and not app.error
    return app


def press(app: AppTest) -> AppTest:
    app.button(key="purify").click().run()
    assert not app.exception and not app.error
    return app


@pytest.fixture
def page(app: AppTest, choose: Choose) -> AppTest:
    """The Purify page with a sample."""
    choose(app, SCAN.key)
    app.switch_page("pages/purify/page.py").run()
    assert not app.exception and not app.error
    return app


@pytest.fixture(scope="module")
def attacked() -> Scan:
    """The sample's attacked copy."""
    return attack_scan(load_scan(SCAN.path), load_bundle())


@pytest.fixture
def carried(page: AppTest, attacked: Scan) -> AppTest:
    """The same with an attacked copy open, and its clean original known."""
    now = session(page)
    now.take_attacked(attacked, now.examination)
    page.run()
    assert not page.exception and not page.error
    return page


def test_start_offers_samples_and_stays_here(app: AppTest) -> None:
    app.switch_page("pages/purify/page.py").run()
    assert app.title[0].value == "Purify a scan"
    assert "What purification buys" in texts(app)
    app.button(key="start-mr-small").click().run()
    assert session(app).scan.name == "MR_small.dcm"
    assert app.button(key="purify").label == "Purify"
    assert session(app).purify == (PurifySettings("one-step", t=60), PurifySettings("diffpure-ddim", t=100))


@pytest.mark.slow
def test_what_is_waited_for_moves_nothing(carried: AppTest) -> None:
    def place() -> int:
        return next(
            place for place, part in carried.main.children.items() if "story" in str(getattr(part, "proto", ""))
        )

    waited = place()
    carried.run()
    assert place() == waited


@pytest.mark.slow
def test_the_page_does_what_core_does(carried: AppTest) -> None:
    press(carried)
    state, models = session(carried).state_of(PurifyState), load_bundle()
    pixels = state.before.pixels
    for trajectory in state.trajectories:
        expected = purified_pixels(torch.from_numpy(pixels)[None], models, trajectory.settings)
        assert np.array_equal(trajectory.frames[-1].estimate, expected[0].detach().numpy())
        assert trajectory.frames[0].prediction.label == "no tumour" and trajectory.wanted == "tumour"
    shown = texts(carried)
    assert "the diagnosis comes back at step 1 of 4: “tumour”" in shown
    assert "Comes back here" in shown and "As the clean scan" in shown
    assert "restored" not in shown.lower()
    assert carried.button(key="purify").label == "Purify again"


@pytest.mark.slow
def test_slider_and_keys_move_all_methods_in_step(carried: AppTest) -> None:
    press(carried)
    state = session(carried).state_of(PurifyState)
    carried.button(key="purify-start").click().run()
    assert [state.frame(trajectory).step for trajectory in state.trajectories] == [0, 0]
    assert "Clean scan: tumour" in texts(carried)
    carried.button(key="purify-next").click().run()
    assert [state.frame(trajectory).step for trajectory in state.trajectories] == [0, 1]
    carried.select_slider[0].set_value(2).run()
    assert [state.frame(trajectory).step for trajectory in state.trajectories] == [1, 2]
    carried.button(key="purify-end").click().run()
    assert carried.select_slider[0].value == 4 and state.place == 4
    carried.button(key="purify-play").click().run()
    assert state.playing and state.place == 1  # from the start, and one on
    shown = carried.select_slider[0]
    assert shown.proto.disabled
    shown.proto.disabled = False  # a slow browser may still show it as it was, and send that
    shown.set_value(0).run()
    assert state.playing and state.place == 2
    carried.button(key="purify-play").click().run()
    assert not state.playing
    assert not carried.exception


@pytest.mark.slow
def test_without_the_clean_scan_the_page_says_what_cannot_be_known(page: AppTest) -> None:
    press(page)
    assert "the answer stays “tumour”" in texts(page) and "As the input" in texts(page)
    section(page, "What changed")
    assert "The clean scan is not known here" in texts(page)
    assert "Estimate against the clean scan" not in texts(page)


@pytest.mark.slow
def test_what_changed_and_the_files(carried: AppTest) -> None:
    assert "Press **Purify**" in texts(section(carried, "What changed"))
    press(section(carried, "Watch"))
    section(carried, "What changed")
    shown = texts(carried)
    assert "Estimate against the clean scan" in shown and "Where the classifier looked" in shown
    assert "never the patient’s scan" in shown and "restored" not in shown.lower()
    assert "There is no region on this slice" in shown
    keep_drawn(session(carried), session(carried).scan, Drawn(0, "ellipse", ((50.0, 50.0), (70.0, 75.0))))
    assert "Measured against the clean original" in texts(carried.run())
    state = session(carried).state_of(PurifyState)
    dicom, png = state.files[0]
    first = pydicom.dcmread(io.BytesIO(dicom))
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "PURIFIED"]
    assert first.DerivationDescription.startswith("Purified: one-step, t 60, 1 of 1 steps, seed 0, with brain-mri")
    assert "An estimate, never the patient's scan." in first.DerivationDescription
    read = [load_scan(data, name) for data, name in ((dicom, "a.dcm"), (png, "a.png"))]
    assert [scan.derived for scan in read] == ["purified"] * 2
    for scan in read:
        assert np.abs(scan.frame() - state.trajectories[0].frames[-1].estimate[0]).max() <= 0.51 / 65535


@pytest.mark.slow
def test_seeds_agree_or_the_page_warns(carried: AppTest) -> None:
    section(carried, "Seeds")
    carried.number_input(key="seeds-count").set_value(3).run()
    carried.button(key="seeds").click().run()
    assert not carried.exception and not carried.error
    seeds = session(carried).state_of(SeedsState)
    assert [seed for seed, _ in seeds.agreement.results] == [0, 1, 2]
    assert "All 3 seeds agree: “tumour”" in texts(carried)
    assert "Where the estimates differ" not in texts(carried)  # a picture's own caption
    assert "may be made up" in texts(carried)


@pytest.mark.slow
def test_steps_slower_than_the_page_are_drawn_once_each(carried: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, "core.trajectories.purification.purify_side_by_side")
    press(carried)
    slow_down(monkeypatch, "core.trajectories.purification.mae_view_steps")
    carried.segmented_control(key="purify-value").set_value(RECONSTRUCTION).run()
    assert not carried.exception and not carried.error
    assert "Asked about at most" in texts(carried)
    slow_down(monkeypatch, "core.fidelity.agreement.agreement")
    section(carried, "Seeds")
    carried.number_input(key="seeds-count").set_value(2).run()
    carried.button(key="seeds").click().run()
    assert not carried.exception and "All 2 seeds agree" in texts(carried)


def test_words() -> None:
    assert verdict({"tumour": 8}).startswith("All 8 seeds agree: “tumour”.")
    assert verdict({"tumour": 5, "no tumour": 3}).startswith("5 of 8 say “tumour”: do not trust the estimate.")
    assert "draws no noise" in verdict({"tumour": 8}, same=True)
    assert in_short(PurifySettings("diffpure", t=50)) == "DiffPure, DDPM, t* = 50, 50 steps"
    assert in_short(PurifySettings("mae-pure", steps=9)) == "MAE-Pure, 9 steps, clip 16/255"
    assert in_short(PurifySettings("median")) == "Median, 3 × 3 pixels"


@pytest.mark.slow
def test_the_trade_is_told_from_what_is_recorded(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.tradeoff.results_entry", lambda bundle, name: {})
    app.switch_page("pages/purify/page.py").run()
    assert not app.exception and NOT_YET.lower() in texts(app)
    row = {"method": "median", "t": None, "steps": 1, "n": 60, "clean": 0.9, "ssim_clean": 0.8, "ms": 3}
    row |= {"intervals": {"clean": [0.85, 0.94]}, "lesion_clean": None}
    record = {"command": "measure", "made_with": made_with_today(load_bundle("brain-mri")), "rows": [row]}  # part of it
    monkeypatch.setattr(
        "core.evaluation.tradeoff.results_entry", lambda bundle, name: {"purifiers": record}.get(name, {})
    )
    app.run()
    assert not app.exception and not app.error and NOT_YET.lower() not in texts(app)
    record["rows"].append(row | {"method": "one-step", "t": 40})
    app.run()
    assert not app.exception and not app.error
    assert "measure" in [code.value for code in app.code] and "The purifiers side by side" in texts(app)


@pytest.mark.slow
def test_what_the_mae_sees_is_told_from_what_is_recorded(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.tradeoff.results_entry", lambda bundle, name: {})
    app.switch_page("pages/purify/page.py").run()
    assert not app.exception and "what the MAE sees of an attack" in texts(app)
    values = {"reconstruction_loss": 0.01, "encoder": 2.0, "decoder": 1.0}
    record = {"command": "measure figure 4", "n": 7, "made_with": made_with_today(load_bundle("brain-mri"))}
    record |= {"attack": [{"eps": eps, **values} for eps in (0, 8)]}
    record |= {"purification": [{"step": step, **values} for step in (0, 60)]}
    monkeypatch.setattr(
        "core.evaluation.tradeoff.results_entry", lambda bundle, name: {"variation": record}.get(name, {})
    )
    app.run()
    assert not app.exception and not app.error
    assert "n = 7 validation scans" in texts(app) and "measure figure 4" in [code.value for code in app.code]


@pytest.mark.slow
def test_only_what_the_method_takes_is_asked_for(page: AppTest) -> None:
    page.segmented_control(key="purify-count").set_value(3).run()
    page.selectbox(key="purify-method-0").select("median").run()
    assert not [box.key for box in page.number_input if (box.key or "").endswith("0-median")]
    page.number_input(key="purify-clip-2-mae-pure").set_value(8.0).run()
    page.number_input(key="purify-steps-2-mae-pure").set_value(2).run()
    assert session(page).purify[0] == PurifySettings("median")
    assert session(page).purify[2] == PurifySettings("mae-pure", steps=2, clip=8)
    press(page)
    assert "This method adds no noise." in texts(page)
    assert [trajectory.steps for trajectory in session(page).state_of(PurifyState).trajectories] == [1, 4, 2]


@pytest.mark.slow
def test_another_scan_drops_the_old_run(page: AppTest, choose: Choose) -> None:
    state = session(press(page)).state_of(PurifyState)
    choose(page, OTHER.key)
    assert session(page).state_of(PurifyState) is None and state.job.stopped
    assert not page.exception and page.button(key="purify").label == "Purify"


@pytest.mark.slow
def test_stop_leaves_what_was_done_so_far(page: AppTest) -> None:
    page.segmented_control(key="purify-count").set_value(1).run()
    page.selectbox(key="purify-method-0").select("diffpure").run()
    page.number_input(key="purify-t-0-diffpure").set_value(900).run()
    begin(session(page), session(page).examination, None)
    state, deadline = session(page).state_of(PurifyState), time.monotonic() + 60
    while state.job.count < 2:
        assert not state.job.done and time.monotonic() < deadline
        time.sleep(0.01)
    state.job.stop()
    assert state.job.wait(10)
    page.run()
    assert not page.exception
    trajectory = state.trajectories[0]
    assert 2 <= trajectory.steps < 900 and trajectory.frames[-1].step == trajectory.steps
    assert any("Stopped" in info.value for info in page.info)


@pytest.mark.slow
def test_the_class_view_is_the_stage_alone(carried: AppTest) -> None:
    press(carried)
    carried.button(key="class-view").click().run()
    assert not [box for box in carried.selectbox if (box.key or "").startswith("purify-method")]
    assert carried.button(key="purify-next") and "Tumour · 8" in texts(carried)
    carried.button(key="class-view").click().run()
    assert carried.selectbox(key="purify-method-0") and not carried.exception
