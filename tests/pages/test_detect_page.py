"""Detect: what a reviewer reads, with and without a scan, and where not everything is recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import load_bundle
from core.defence.fitting import cross_fitted_limits
from core.evaluation.operating_points import Roc, operating_point, recorded, thresholds_at
from pages.detect import trials as detector_trials
from pages.detect.charts import roc_chart
from pages.detect.findings import benign_told, paper_sentence, roc_told, stress_told
from pages.detect.operating_point import rule
from pages.detect.record import Record, command_behind, score_text
from pages.detect.trials import TrialsState
from pages.shared.records.figures import count_text, full_text, share_text
from pages.shared.words import score_words
from tests.reading import texts
from tests.slowness import slow_down
from training.files import read_results

Choose = Callable[[AppTest, str], AppTest]
SECTIONS = ("This scan", "Scores", "Thresholds", "ROC", "Stress", "Benign changes", "Recompute")
NOW = ("Recompute", "Your scanner")
NEEDED = ("clean", "pgd 2/255", "pgd 4/255", "pgd 8/255")


@pytest.fixture
def page(app: AppTest) -> Callable[[str], AppTest]:
    """Open a section of the page."""

    def open_section(section: str) -> AppTest:
        app.switch_page("pages/detect/page.py").run()
        part = "This scan" if section == "This scan" else "Measured now" if section in NOW else "Recorded studies"
        app.segmented_control(key="detect-part").set_value(part).run()
        if section == "This scan":
            return app
        key = "detect-now" if section in NOW else "detect-section"
        return app.segmented_control(key=key).set_value(section).run()

    return open_section


def tables_command() -> str:
    return read_results(load_bundle().folder)["command"]


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_works_without_a_scan(page: Callable[[str], AppTest], section: str) -> None:
    app = page(section)
    assert not app.exception and not app.error
    if section == "This scan":
        assert "need no scan" in texts(app)
    elif section != "Recompute":
        facts = load_bundle().facts["calibrated"]
        assert f"n = {facts['n']} scans" in texts(app)
        further = section in ("ROC", "Stress")  # of conditions that calibration doesn't record
        assert [code.value for code in app.code] == [tables_command() if further else facts["command"]]


@pytest.mark.slow
def test_the_scan_on_the_table_is_shown(app: AppTest, choose: Choose, page: Callable[[str], AppTest]) -> None:
    choose(app, "tumour-01")
    page("This scan")
    assert not app.exception and not app.error
    assert "Mask 2" in texts(app) and "This scan: tumour-01.dcm" in texts(app)
    score = app.session_state["session"].examination.detection.scores["agreement"]
    name = score_words("agreement").name.lower()
    assert f"{name} **{score_text(score)}**" in texts(app)
    page("Scores")
    assert "recorded on" in app.header[0].value and f"{name} **" not in texts(app)


@pytest.mark.slow
def test_refused_scan_gives_its_sentence(app: AppTest, choose: Choose, page: Callable[[str], AppTest]) -> None:
    choose(app, "ct-small")
    page("This scan")
    assert not app.exception
    assert "modality CT" in texts(app)
    assert "Mask 1" not in texts(app)
    page("Scores")
    assert not app.exception and not app.error


@pytest.mark.slow
def test_the_operating_point_is_that_of_core_and_follows_the_slider(page: Callable[[str], AppTest]) -> None:
    app = page("Thresholds")
    calibration = load_bundle().calibrations["resnet18"]
    own = cross_fitted_limits(calibration)
    before = operating_point(calibration, "pgd 8/255", own)
    assert metrics(app)["False alarms"] == share_text(before.false_alarms)
    next(slider for slider in app.slider if slider.label == "Decision instability").set_value(85.0).run()
    after = operating_point(calibration, "pgd 8/255", thresholds_at(calibration, {"instability": 85.0}, own))
    assert after.false_alarms.value > before.false_alarms.value
    assert metrics(app)["False alarms"] == share_text(after.false_alarms)
    assert metrics(app)["Time a clean scan"] == f"{after.seconds:.2f} s"
    app.button(key="reset-thresholds").click().run()
    assert metrics(app)["False alarms"] == share_text(before.false_alarms)
    assert app.button(key="reset-thresholds").disabled


def test_what_is_not_recorded_is_said(page: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_bundle()
    calibration = whole.calibrations["resnet18"]
    kept = {name: answers for name, answers in calibration.conditions.items() if name in NEEDED}
    poorer = replace(whole, calibrations={"resnet18": replace(calibration, conditions=kept)})
    for place in ("pages.shared.runtime.bundle", "pages.shared.pickers.bundle"):
        monkeypatch.setattr(place, lambda name: poorer)
    app = page("Stress")
    assert "Not recorded of this classifier: PGD at ε = 0.5/255, 1/255, 16/255" in texts(app)
    assert len(app.table[0].value) == 3
    page("Benign changes")
    assert "Not recorded of this classifier: Gaussian noise" in texts(app) and "Spikes" in texts(app)
    assert not app.table
    page("Scores")
    assert "Not recorded of this classifier: any benign change." in texts(app)
    page("Thresholds")
    assert not app.exception and not app.error
    assert "not cross-fitted" in texts(app)


@pytest.mark.slow
def test_attackers_who_know_the_defence_are_read_as_one_asks(page: Callable[[str], AppTest]) -> None:
    app = page("White box")
    pickers = {box.key: box for box in app.selectbox if box.key.startswith("white-box")}
    asked, rows = pickers["white-box-ball"], app.table[0].value
    assert set(rows["Site"]) >= {"All sites", "br35h", "cheng"} and set(rows["Scans"]) >= {"100"}
    hardened = list(rows[rows["Policy"] == "Hardened"]["Right, attacked"])
    asked.set_value(("linf", 4.0)).run()
    weaker = app.table[0].value
    assert "ℓ∞ 4/255" in texts(app) and not app.exception
    assert hardened != list(weaker[weaker["Policy"] == "Hardened"]["Right, attacked"])


def test_a_record_that_has_only_begun_is_said_to_be_so(
    page: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.evaluation.white_box.record import results_entry

    def begun(folder: Path, name: str) -> Any:
        entry = results_entry(folder, name)
        kept = [row for row in entry.get("rows", []) if row["name"] in ("no attack", "exact pgd linf 64")]
        return {**entry, "rows": kept} if entry else {}

    monkeypatch.setattr("core.evaluation.white_box.record.results_entry", begun)
    other = replace(load_bundle(), hashes=load_bundle().hashes | {"not-loaded.txt": "9" * 64})
    for place in ("pages.shared.runtime.bundle", "pages.shared.pickers.bundle"):
        monkeypatch.setattr(place, lambda name: other)
    app = page("White box")
    assert "No attack of a limited size was measured yet" in texts(app) and not app.exception


def test_attackers_who_were_not_measured_are_named_with_the_command(
    page: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.evaluation.white_box.record.results_entry", lambda folder, name: {})
    stranger = replace(load_bundle(), hashes=load_bundle().hashes | {"mae.safetensors": "9" * 64})
    for place in ("pages.shared.runtime.bundle", "pages.shared.pickers.bundle"):
        monkeypatch.setattr(place, lambda name: stranger)
    app = page("White box")
    assert "Not measured with the weights of today: the clinical policy." in texts(app)
    assert any("--policy hardened" in block.value for block in app.code) and not app.table and not app.exception


@pytest.mark.slow
def test_nothing_is_said_of_purification_where_the_policy_purifies_nothing(
    app: AppTest, page: Callable[[str], AppTest]
) -> None:
    words = ("It is purified on either", "with purification", "borderline", "Put right")
    assert all(word in texts(page("Thresholds")) for word in words)
    app.segmented_control(key="policy").set_value("hardened").run()
    said = texts(page("Thresholds"))
    assert "raises no alarm" in said and "The hardened policy purifies nothing." in said
    assert not any(word in said for word in words)
    said = texts(page("Benign changes"))
    assert "The hardened policy purifies nothing." in said and "Label kept: of" not in said
    assert set(app.table[0].value["Label kept"]) == {"none purified"}


def test_of_one_question_the_rule_says_that_nothing_is_purified() -> None:
    limits = replace(load_bundle().limits["hardened"], altered=())
    assert rule(limits).endswith("above its threshold. The hardened policy purifies nothing.")
    assert "purif" not in rule(replace(limits, purifies=True))


def test_a_share_of_no_purified_scans_is_called_so() -> None:
    assert count_text(None) == full_text(None) == "none purified"


def test_the_command_beside_figures_measures_what_they_are_of() -> None:
    bundle = load_bundle()
    record = Record(bundle, "resnet18", bundle.calibrations["resnet18"], (), (), [], False)
    calibration = bundle.facts["calibrated"]["command"]
    assert command_behind(record, ["pgd 8/255", "gamma 2"]) == command_behind(record, []) == calibration
    for further in ("pgd 16/255", "fgsm 8/255", "gamma 3"):
        assert command_behind(record, ["pgd 8/255", further]) == tables_command()
    unnoted = replace(record, bundle=replace(bundle, folder=Path("none")))
    assert command_behind(unnoted, ["fgsm 8/255"]) == ""


def test_the_axes_of_the_curves_speak_of_no_alarm() -> None:
    curve = Roc(np.array([0, 1]), np.array([0, 1]), 0.5, (0.5, 0.5))
    layout = roc_chart({"Added signal": curve}).layout
    assert layout.xaxis.title.text == "clean scans above the threshold (%)"
    assert layout.yaxis.title.text == "attacked scans above the threshold (%)"


def test_the_verdict_on_the_paper_s_score_follows_the_numbers() -> None:
    def curve(area: float) -> Roc:
        return Roc(np.array([0, 1]), np.array([0, 1]), area, (area - 0.01, area + 0.01))

    assert "does not usefully separate" in paper_sentence({"FGSM": curve(0.49), "PGD": curve(0.52)})
    assert "0.520 (PGD)" in paper_sentence({"FGSM": curve(0.49), "PGD": curve(0.52)})
    assert "poorly" in paper_sentence({"PGD": curve(0.7)})
    assert "separates some" in paper_sentence({"FGSM": curve(0.49), "PGD": curve(0.95)})


def test_what_stands_on_top_follows_the_numbers() -> None:
    def curve(area: float) -> Roc:
        return Roc(np.array([0, 1]), np.array([0, 1]), area, (area, area))

    told = roc_told({"first": curve(0.9), "second": curve(0.5)}, "PGD")
    assert "**first** separates best: area 0.900" in told and told.endswith("hardly: second.")
    calibration = load_bundle().calibrations["resnet18"]
    limits = cross_fitted_limits(calibration)
    costs = {eps: operating_point(calibration, f"pgd {eps}/255", limits) for eps in (2, 8)}
    assert stress_told(costs).startswith(f"At ε = 8/255 **{share_text(costs[8].undefended_attacked)}**")
    assert f"at ε = 2/255 ({share_text(costs[2].flagged)})" in stress_told(costs)
    benign = [(entry, operating_point(calibration, entry.name, limits)) for entry in recorded(calibration)[-2:]]
    assert benign_told(benign, 1.0).startswith("2 of 2 benign changes stay within 100 %")
    assert benign_told(benign, -1.0).startswith("0 of 2")


@pytest.mark.slow
@pytest.mark.parametrize("slow", [False, True])
def test_recompute_judges_the_samples(
    page: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    if slow:
        slow_down(monkeypatch, "core.evaluation.trials.trial_steps")
    two = dict([item for item in detector_trials.samples().items() if item[1].origin == "synthetic"][:2])
    monkeypatch.setattr(detector_trials, "samples", lambda: two)
    app = page("Recompute")
    app.selectbox(key="trial-attack").select("fgsm").run()
    app.button(key="trial-start").click().run()
    assert not app.exception and not app.error
    assert metrics(app)["Flagged after the attack"].endswith(" of 2")
    assert len(app.table[0].value) == 2
    assert "n = 2 of 2 synthetic samples, FGSM" in texts(app)
    session = app.session_state["session"]
    assert len(session.state_of(TrialsState).done) == 2
    old = session.state_of(TrialsState)
    session.classifier = "another"
    assert detector_trials.current_trials(session, "another") is None
    assert old.job.stopped and session.state_of(TrialsState) is None


@pytest.mark.slow
def test_benign_changes_are_counted(page: Callable[[str], AppTest]) -> None:
    app = page("Benign changes")
    table = app.table[0].value
    calibration = load_bundle().calibrations["resnet18"]
    benign = [entry.name for entry in recorded(calibration) if entry.benign]
    assert len(table) == len(benign)
    cost = operating_point(calibration, benign[0], cross_fitted_limits(calibration))
    row = table.iloc[0]
    assert row["Flagged"].startswith(f"{cost.flagged.hits} of {len(calibration.labels)}")
    assert row["Label kept"] == f"{cost.label_kept.hits} of {cost.label_kept.n}"
    assert (row["Turned wrong"], row["Turned right"]) == (str(cost.turned_wrong), str(cost.turned_right))
