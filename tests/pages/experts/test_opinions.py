"""What the experts say: clean, attacked, purified and along the path."""

import dataclasses
import json
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import core
from core import Bundle
from core.attacks import attack_scan
from core.explanation.mixture import gate_change, run_mixture
from core.models.experts import NONE_LEFT
from pages.experts.findings import moved, points
from pages.experts.picker import NONE_HERE
from pages.experts.state import ATTACKED, CLEAN, PURIFIED, ExpertsState
from pages.shared.runtime import bundle as cached_bundle
from tests.pages.experts.helpers import (
    EXPERTS,
    OTHER,
    SCAN,
    SECTIONS,
    Choose,
    bench,
    press,
    section,
)
from tests.reading import opened, session, texts


@pytest.mark.slow
def test_a_bundle_without_a_mixture_says_so(app: AppTest, choose: Choose, served: Bundle, monkeypatch) -> None:
    alone = dataclasses.replace(served, classifiers={"resnet18": served.classifiers["resnet18"]})
    monkeypatch.setattr(core, "load_bundle", lambda name: alone)
    cached_bundle.clear()
    opened(app, "experts")
    assert NONE_HERE in texts(app)
    choose(app, SCAN.key)
    assert NONE_HERE in texts(opened(app, "experts"))


def test_start_offers_samples_and_the_map(app: AppTest, served: Bundle) -> None:
    opened(app, "experts")
    assert app.title[0].value == "Show the experts a scan"
    assert "not recorded for this mixture" in texts(app)
    app.button(key="start-mr-small").click().run()
    assert session(app).scan.name == "MR_small.dcm" and app.title[0].value == "Open up the experts"


@pytest.mark.slow
def test_the_opinions_are_those_of_core(page: AppTest, mixed: Bundle) -> None:
    expected = run_mixture(bench(page).before.pixels, mixed, "medfedpure").output
    assert bench(page).stages[CLEAN].output.weights == expected.weights
    shown = texts(page)
    assert expected.answer.label.capitalize() in shown
    table = page.table[0].value.to_string()
    for expert, said in zip(EXPERTS, expected.experts):
        assert expert["name"] in table and expert["training"].rstrip(".") in table and said.label in table


@pytest.mark.slow
def test_experts_are_switched_off_one_by_one(page: AppTest) -> None:
    """Those left decide alone, and with nobody left there is a sentence and no number."""
    output = bench(page).stages[CLEAN].output
    assert len({said.label for said in output.experts}) == 2
    pills = page.button_group(key="experts-on-medfedpure")
    for place in range(3):
        pills.set_value([place]).run()
        alone, header = output.experts[place], page.header[0].value.replace("\\", "")
        assert header.lower().startswith(alone.label), header
    page.button_group(key="experts-on-medfedpure").set_value([]).run()
    assert not page.exception and NONE_LEFT in texts(page)
    assert page.header[0].value == "No answer" and "nan" not in texts(page).lower()


@pytest.mark.slow
def test_the_attack_made_here_and_what_purifies_it(page: AppTest) -> None:
    page.slider(key="experts-eps").set_value(4.0)
    press(page, "experts-attack")
    made = bench(page)
    assert list(made.stages) == [CLEAN, ATTACKED, PURIFIED] and not made.running
    moved = np.abs(made.stages[ATTACKED].pixels - made.stages[CLEAN].pixels).max()
    assert moved == pytest.approx(4 / 255, abs=1e-4)
    assert made.job.count == 40 and "Attacked, ε = 4/255" in texts(page)
    first = made.stages[CLEAN].output.answer.label
    for stage in (ATTACKED, PURIFIED):
        same = made.stages[stage].output.answer.label == first
        assert ("As for the clean scan" if same else f"Clean scan: {first}") in texts(page)


@pytest.mark.slow
def test_the_gate_is_told_against_the_clean_scan(page: AppTest) -> None:
    press(page, "experts-attack")
    views = bench(page).stages
    for stage in (ATTACKED, PURIFIED):
        pair = views[CLEAN].output, views[stage].output
        assert moved(*pair, gate_change(*pair)) in texts(page).replace("\u2060", "")
    (bars,) = [chart for chart in page.get("plotly_chart") if chart.proto.alt.startswith("Gate, Attacked")]
    drawn = json.loads(bars.proto.spec)["data"][0]["text"]
    change = gate_change(views[CLEAN].output, views[ATTACKED].output)
    assert drawn == [f"<b>{points(value)}</b>" for value in change.points]


@pytest.mark.slow
def test_a_stopped_attack_keeps_how_far_it_came(page: AppTest, served: Bundle, monkeypatch) -> None:
    from pages.experts import attack as experts_attack

    made = bench(page)
    monkeypatch.setattr(experts_attack, "STEPS", 4000)
    experts_attack.begin_attack(made, 8.0)
    deadline = time.monotonic() + 60
    while made.attack.pixels is None:
        assert made.running and time.monotonic() < deadline
        time.sleep(0.02)
    made.stop()
    page.run()
    assert not page.exception and "Stopped after" in texts(page)
    assert ATTACKED in bench(page).stages and 0 < made.job.count < 4000
    assert f"ε = 8/255, after {made.attack.taken:,} of 4,000 steps" in texts(page)


@pytest.mark.slow
def test_an_attacked_copy_stands_beside_its_origin(page: AppTest, served: Bundle) -> None:
    now = session(page)
    before = now.examination
    now.take_attacked(attack_scan(now.scan, served, classifier="resnet18"), before)
    page.run()
    made = bench(page)
    assert list(made.stages) == [CLEAN, ATTACKED, PURIFIED]
    assert np.array_equal(made.stages[CLEAN].pixels, before.pixels)
    copy = session(page).examination.pixels
    assert np.array_equal(made.stages[ATTACKED].pixels, copy) and "begins with the clean original" in texts(page)
    page.slider(key="experts-eps").set_value(16.0)
    press(page, "experts-attack")
    moved = np.abs(made.stages[ATTACKED].pixels - before.pixels).max()
    assert moved == pytest.approx(16 / 255, abs=1e-4) and "Attacked, ε = 16/255" in texts(page)
    press(page, "experts-copy")
    assert np.array_equal(made.stages[ATTACKED].pixels, copy) and "Attacked, ε" not in texts(page)


@pytest.mark.slow
def test_the_gate_along_the_path(page: AppTest) -> None:
    section(page, "Drag ε")
    press(page, "path-start")
    made = bench(page)
    assert len(made.path) == 33 and made.path[0].view.output.weights == made.stages[CLEAN].output.weights
    slider = next(entry for entry in page.select_slider if entry.label.startswith("Drag"))
    for eps in (0.0, 16.0):
        slider = slider.set_value(eps)
        page.run()
        point = next(point for point in made.path if point.eps == eps)
        assert page.header[0].value.lower().startswith(point.view.output.answer.label)
        slider = next(entry for entry in page.select_slider if entry.label.startswith("Drag"))


@pytest.mark.slow
def test_a_mixture_with_thresholds_can_be_used_elsewhere(page: AppTest) -> None:
    assert "alone" not in texts(page), "it knows what the bundle's classifier knows"
    press(page, "use-mixture")
    assert session(page).classifier == "medfedpure" and session(page).examination.undefended.classifier == "medfedpure"
    assert "The other pages use this mixture" in texts(page)
    page.segmented_control(key="mixture-brain-mri").set_value("dwf").run()
    assert bench(page).mixture == "dwf" and "no thresholds yet" in texts(page)
    assert "This mixture learned from br35h alone" in texts(page)
    assert not [button for button in page.button if button.key == "use-mixture"]


def test_refused_scan_gives_its_sentence(app: AppTest, served: Bundle, choose: Choose) -> None:
    choose(app, "ct-small")
    app.switch_page("pages/experts/page.py").run()
    assert not app.exception and "modality CT" in texts(app) and session(app).state_of(ExpertsState) is None


@pytest.mark.slow
def test_another_scan_lays_the_bench_out_anew(page: AppTest, choose: Choose) -> None:
    press(page, "experts-attack")
    page.button_group(key="experts-on-medfedpure").set_value([0]).run()
    old = bench(page)
    choose(page, OTHER.key)
    assert bench(page) is not old and list(bench(page).stages) == [CLEAN]
    assert page.button_group(key="experts-on-medfedpure").value == [0, 1, 2], "everybody is at work again"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_picture_and_chart_has_a_text(page: AppTest, name: str) -> None:
    section(page, name)
    charts, pictures = page.get("plotly_chart"), [picture for image in page.image for picture in image.proto.imgs]
    assert charts or pictures or name in SECTIONS[1::2]  # nothing is found, or nothing recorded
    assert all(chart.proto.alt for chart in charts) and all(picture.alt for picture in pictures)
