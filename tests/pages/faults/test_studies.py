"""The studies of the Faults page: recorded, measured live, and the search for the worst bits."""

import itertools
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import Bundle
from pages.faults import study
from pages.faults.study import NO_SAMPLES
from pages.shared.worker import Worker
from tests.pages.faults.helpers import ALL_STUDIES, SECTIONS, bench, press, section
from tests.pages.faults.records import COMMAND, write_record
from tests.reading import texts


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_nothing_recorded_is_said_and_the_rest_works(page: AppTest, name: str) -> None:
    section(page, name)
    told = texts(page)
    assert {"Flip": "hasn’t been measured"}.get(name, "training.measure.faults") in told


@pytest.mark.slow
def test_records_of_today_are_drawn_and_others_are_not(page: AppTest, served: Bundle, tmp_path: Path) -> None:
    write_record(served, tmp_path, ALL_STUDIES)
    page.run()
    assert "Most sensitive: stem" in texts(page).replace("*", "")
    section(page, "Curves")
    for what in ("flips", "layers", "bits", "activations", "guard"):
        page.segmented_control(key="faults-curve").set_value(what).run()
        assert not page.exception and not page.error and COMMAND in texts(page)
    assert "0 of 1,000" in texts(page)
    section(page, "Worst case")
    assert "the guard sees it and repairs it" in texts(page)
    write_record(served, tmp_path, ALL_STUDIES, made_with="other")
    page.run()
    assert "other weights" in texts(page) and "the guard sees" not in texts(page)


@pytest.mark.slow
def test_figures_of_another_format_are_said_to_be_of_it(page: AppTest, served: Bundle, tmp_path: Path) -> None:
    """Only the study of the bits is recorded in both."""
    write_record(served, tmp_path, ALL_STUDIES)
    told = "ecorded in float32, not in bfloat16"
    assert told not in texts(page.run())
    page.segmented_control(key="faults-form-brain-mri-resnet18").set_value("bfloat16").run()
    assert told in texts(page)
    section(page, "Curves")
    for what in ("flips", "layers", "bits", "activations"):
        page.segmented_control(key="faults-curve").set_value(what).run()
        assert (told in texts(page)) == (what != "bits")


def test_a_live_study_is_of_its_format_alone(page: AppTest) -> None:
    state = bench(page)
    found = state.studies[study.study_key(state, "flips")] = study.Study("flips", 1, 1, state.form, 0, ["a row"])
    state.start(itertools.repeat(None), worker=Worker())
    state.store_as("bfloat16")
    assert study.live_rows(state, "flips") == [] and state.begun.stopped
    state.store_as(found.form)
    assert study.live_rows(state, "flips") == ["a row"]


@pytest.mark.slow
def test_side_by_side_says_who_breaks_first(page: AppTest, served: Bundle, tmp_path: Path) -> None:
    write_record(served, tmp_path, ALL_STUDIES)
    section(page, "Side by side")
    told = texts(page).replace("*", "")
    assert "ResNet-18 breaks first" in told and "At 16 flips ResNet-18 is down to 68.0 %" in told
    charts = {json.loads(chart.proto.spec)["data"][0]["type"] for chart in page.get("plotly_chart")}
    assert charts == {"scatter", "heatmap"}
    assert all(chart.proto.alt for chart in page.get("plotly_chart"))


@pytest.mark.slow
def test_side_by_side_concludes_nothing_across_other_scans(page: AppTest, served: Bundle, tmp_path: Path) -> None:
    elsewhere = {"plain": "python -m training.measure.faults --data a.npz b.npz"}
    write_record(served, tmp_path, ALL_STUDIES, commands=elsewhere)
    section(page, "Side by side")
    told = texts(page).replace("*", "")
    assert "breaks first:" not in told and "nothing to compare" in told and "stand apart" in told
    headings = [heading.value.replace("\\", "") for heading in page.subheader]
    assert [heading.partition(": ")[2] for heading in headings[:2]] == ["scans of invented", "scans of a, b"]
    assert all(heading.partition(": ")[0] for heading in headings[:2]), "a curve that is alone has no legend"


def test_a_damaged_record_gives_its_sentence(page: AppTest, served: Bundle, tmp_path: Path) -> None:
    (tmp_path / served.name).mkdir()
    (tmp_path / served.name / "faults.json").write_text("{")
    page.run()
    assert not page.exception and "run training.measure.faults again" in texts(page)
    press(page, "bit-30")
    assert len(bench(page).flips) == 1


@pytest.mark.slow
def test_the_layers_are_measured_on_the_samples(page: AppTest, monkeypatch) -> None:
    monkeypatch.setattr("pages.faults.layers.TRIALS", 1)
    page.segmented_control(key="faults-network-brain-mri").set_value("plain").run()
    press(page, "faults-measure-strip")
    assert not page.error and len(bench(page).studies["layers", "", "float32"].rows) == len(bench(page).layers) == 10
    assert "on 12 sample scans, 1 trials a layer, measured now in float32" in texts(page)
    assert "Most sensitive" in texts(page)


@pytest.mark.slow
def test_curves_are_measured_on_the_samples(page: AppTest) -> None:
    page.segmented_control(key="faults-network-brain-mri").set_value("plain").run()
    section(page, "Curves")
    page.segmented_control(key="faults-trials").set_value(5).run()
    press(page, "faults-measure-flips")
    study = bench(page).studies["flips", "", "float32"]
    assert [row.flips for row in study.rows] == [1, 2, 4, 8, 16] and study.n == 12 and study.trials == 5
    assert "n = 12 sample scans" in texts(page) and all(chart.proto.alt for chart in page.get("plotly_chart"))


@pytest.mark.slow
def test_the_worst_bits_are_found_and_taken_over(page: AppTest) -> None:
    section(page, "Worst case")
    page.segmented_control(key="faults-budget").set_value(1).run()
    press(page, "faults-search")
    found = bench(page).search
    assert len(found) == 1 and found[0].accuracy < 1 and "Accuracy with 1 bit flipped" in texts(page)
    assert "Measured now, on the sample scans." in texts(page)
    press(page, "faults-take")
    assert bench(page).flips == [found[0].fault] and bench(page).tensor == found[0].fault.tensor
    assert page.segmented_control(key="faults-section").value == "Flip" and "Value: " in texts(page)


def test_a_bundle_without_samples_says_so(page: AppTest, monkeypatch) -> None:
    study._samples.clear()
    monkeypatch.setattr("core.faults.samples.sample_scans", lambda name: ())
    section(page, "Worst case")
    press(page, "faults-search")
    assert NO_SAMPLES in texts(page) and not page.error


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_every_picture_and_chart_has_a_text(page: AppTest, served: Bundle, tmp_path: Path, name: str) -> None:
    write_record(served, tmp_path, ALL_STUDIES)
    section(page, name)
    assert all(chart.proto.alt for chart in page.get("plotly_chart"))
    assert all(picture.alt for image in page.image for picture in image.proto.imgs)
