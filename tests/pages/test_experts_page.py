"""Experts: what is shown of a mixture, what switching experts off does, and what runs in the background."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

import core
from core import Bundle, load_bundle
from core.attacks import attack_scan
from core.explanation.attributions import attribution
from core.explanation.mixture import run_mixture
from core.models.experts import NONE_LEFT, resnet_mixture
from core.scans import sample_scans
from pages.experts.picker import NONE_HERE
from pages.experts.state import ATTACKED, CLEAN, PURIFIED, ExpertsState, Question
from pages.shared.runtime import bundle as cached_bundle
from tests.reading import opened, session, texts

Choose = Callable[[AppTest, str], AppTest]
SCAN, OTHER = [sample for sample in sample_scans() if sample.key.startswith("tumour")][:2]
EXPERTS = [{"name": f"Ward {place}", "training": f"What ward {place} saw."} for place in range(3)]
SECTIONS = ("Opinions", "Drag ε", "Where they look", "Map of gates")


def small_mixture() -> torch.nn.Module:
    """Three random experts, of whom the second always says the first class."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = resnet_mixture(1, 2, count=3, width=4, shrink=2)
        with torch.no_grad():
            network.gate.keys.mul_(10)
            for expert in network.experts:
                expert.network.fc.weight.mul_(40)
            network.experts[1].network.fc.bias[0] += 30
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def mixed() -> Bundle:
    """The bundle with two such mixtures: one with thresholds, one without."""
    plain, network = load_bundle(), small_mixture()
    entry = {"file": "small.safetensors", "experts": EXPERTS}
    facts = plain.facts | {"classifiers": {"resnet18": plain.facts["classifiers"]["resnet18"]}}
    facts["classifiers"] |= {"medfedpure": entry, "dwf": entry}
    limits = {"resnet18": plain.limits["resnet18"], "medfedpure": plain.limits["resnet18"]}
    calibrations = dict(plain.calibrations) | {"medfedpure": plain.calibrations["resnet18"]}
    classifiers = {"resnet18": plain.classifiers["resnet18"], "medfedpure": network, "dwf": network}
    made = {"classifiers": classifiers, "facts": facts, "limits": limits, "calibrations": calibrations}
    return dataclasses.replace(plain, **made, hashes=dict(plain.hashes) | {"small.safetensors": "abc"})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, mixed: Bundle, tmp_path) -> Iterator[Bundle]:
    """The app with that bundle, and with no gates recorded."""
    alone = dataclasses.replace(mixed, folder=tmp_path / mixed.name)
    alone.folder.mkdir()
    monkeypatch.setattr(core, "load_bundle", lambda name: alone)
    cached_bundle.clear()
    yield alone
    cached_bundle.clear()


@pytest.fixture
def page(served: Bundle, app: AppTest, choose: Choose) -> AppTest:
    """The Experts page with a sample."""
    choose(app, SCAN.key)
    return opened(app, "experts")


def bench(app: AppTest) -> ExpertsState:
    return session(app).state_of(ExpertsState)


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="experts-section").set_value(name).run()
    assert not app.exception and not app.error
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception and not app.error
    return app


def record_gates(folder, mixture: str = "medfedpure", weights: str = "abc") -> None:
    rng, rows = np.random.default_rng(0), {}
    for name in ("clean", "fgsm 4/255", "fgsm 8/255", "pgd 8/255"):
        rows[name] = rng.dirichlet([1, 1, 1], 6).tolist()
    entry = {"labels": [0, 1] * 3, "conditions": rows, "command": "python -m training.gates", "split": "val"}
    folder.write_text(json.dumps({mixture: entry | {"weights": weights}}))


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


def test_the_opinions_are_those_of_core(page: AppTest, mixed: Bundle) -> None:
    expected = run_mixture(bench(page).before.pixels, mixed, "medfedpure").output
    assert bench(page).stages[CLEAN].output.weights == expected.weights
    shown = texts(page)
    assert expected.answer.label.capitalize() in shown
    table = page.table[0].value.to_string()
    for expert, said in zip(EXPERTS, expected.experts):
        assert expert["name"] in table and expert["training"].rstrip(".") in table and said.label in table


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


def test_a_stopped_attack_keeps_how_far_it_came(page: AppTest, served: Bundle, monkeypatch) -> None:
    from pages.experts import attack as experts_attack

    made = bench(page)
    monkeypatch.setattr(experts_attack, "STEPS", 4000)
    experts_attack.begin_attack(made, 8.0)
    while made.taken is None:
        time.sleep(0.02)
    made.stop()
    page.run()
    assert not page.exception and "Stopped after" in texts(page)
    assert ATTACKED in bench(page).stages and 0 < made.job.count < 4000


def test_an_attacked_copy_stands_beside_its_origin(page: AppTest, served: Bundle) -> None:
    now = session(page)
    before = now.examination
    now.take_attacked(attack_scan(now.scan, served, classifier="resnet18"), before)
    page.run()
    made = bench(page)
    assert list(made.stages) == [CLEAN, ATTACKED, PURIFIED]
    assert np.array_equal(made.stages[CLEAN].pixels, before.pixels)
    assert np.array_equal(made.stages[ATTACKED].pixels, session(page).examination.pixels)
    assert not [button for button in page.button if button.key == "experts-attack"]


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


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_where_they_look(page: AppTest, method: str) -> None:
    section(page, "Where they look")
    page.selectbox(key="look-method").select(method).run()
    assert "Press Show where they look" in texts(page).replace("*", "")
    press(page, "look")
    assert bench(page).attributions[Question(method)][CLEAN].shape == (128, 128) and bench(page).job.count == 3
    page.selectbox(key="look-expert-medfedpure").select(2).run()
    press(page, "look")
    assert Question(method, 1) in bench(page).attributions
    assert "no outline" in texts(page) and not page.table


def test_where_they_look_without_some_of_them(page: AppTest) -> None:
    """The maps of the whole mixture are those of the experts at work; one expert’s own map is not touched."""
    section(page, "Where they look")
    page.selectbox(key="look-method").select("integrated-gradients").run()
    page.button_group(key="experts-on-medfedpure").set_value([0, 2]).run()
    assert "Press Show where they look" in texts(page).replace("*", "")
    press(page, "look")
    made, fewer = bench(page), (True, False, True)
    output = made.stages[CLEAN].output.only(fewer)
    pixels, label = made.stages[CLEAN].pixels, list(output.answer.probabilities).index(output.answer.label)
    alone = [attribution(pixels, expert, "integrated-gradients", label=label) for expert in made.network.experts]
    expected = output.weights[0] * alone[0] + output.weights[2] * alone[2]
    shown = made.attributions[Question("integrated-gradients", None, fewer)][CLEAN]
    assert output.weights[1] == 0 and np.allclose(shown, expected, rtol=1e-3, atol=1e-5)
    assert "Whole mixture without Ward 1" in texts(page) and "weights of those left are held" in texts(page)
    page.button_group(key="experts-on-medfedpure").set_value([]).run()
    assert NONE_LEFT in texts(page) and page.button(key="look").disabled
    page.selectbox(key="look-expert-medfedpure").select(2).run()
    press(page, "look")
    assert Question("integrated-gradients", 1) in bench(page).attributions


def test_technical_terms_are_explained(page: AppTest) -> None:
    """Where a term of the field stands, a sentence of help hangs on it."""
    terms = {"Opinions": ["logits", "PGD-40"], "Drag ε": ["FGSM"], "Where they look": ["class token", "log odds"]}
    for name, sought in terms.items():
        section(page, name)
        if name == "Where they look":
            page.selectbox(key="look-method").select("occlusion").run()
            press(page, "look")
        helps = " ".join(element.proto.help for element in everything(page)).lower()
        assert all(term.lower() in helps for term in sought), (name, helps)


def everything(app: AppTest) -> list:
    """Every element that can bring help along."""
    kinds = (app.markdown, app.caption, app.selectbox, app.slider, app.button_group)
    return [element for kind in kinds for element in kind]


def test_agreement_with_a_circle(page: AppTest) -> None:
    from core.explanation.outline_agreement import outline_agreement
    from core.fidelity.outline import circle

    section(page, "Where they look")
    press(page, "look")
    page.toggle(key="outline-on").set_value(True).run()
    page.slider(key="outline-across").set_value(30).run()
    made = outline_agreement(bench(page).attributions[Question("grad-cam")][CLEAN], circle(128, 0.3, 0.5, 0.1))
    row = page.table[0].value.iloc[0]
    assert row.iloc[1] == ("yes" if made.hit else "no") and float(row.iloc[2].split(" ")[-2]) < 100
    assert row.iloc[3] == f"{100 * made.expected:.1f} %"


def test_raw_heads_and_rollout(page: AppTest) -> None:
    section(page, "Where they look")
    raw = bench(page).attention[CLEAN].raw
    assert len(raw) == 8 and len(raw[0]) == 9 and raw[0][0].shape == (16, 16)
    assert np.allclose(np.mean(raw[0][1:], 0), raw[0][0], atol=1e-6)
    page.selectbox(key="attention-head").select(3).run()
    assert not page.exception
    page.segmented_control(key="attention-kind").set_value("Rollout").run()
    assert not page.exception and "Abnar" in texts(page)


def test_the_map_with_and_without_a_scan(app: AppTest, served: Bundle, choose: Choose, tmp_path) -> None:
    record_gates(tmp_path / served.name / "gates.json")
    opened(app, "experts")
    assert "n = 6 scans" in texts(app) and "python -m training.gates" in texts(app)
    choose(app, SCAN.key)
    section(opened(app, "experts"), "Map of gates")
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "this scan" in {trace["name"] for trace in chart["data"]}
    assert {"Clean, tumour", "FGSM 8/255, no tumour", "PGD 8/255, tumour"} <= {trace["name"] for trace in chart["data"]}


def test_gates_of_other_weights_are_not_shown(app: AppTest, served: Bundle, tmp_path) -> None:
    record_gates(tmp_path / served.name / "gates.json", weights="old")
    assert "not recorded for this mixture" in texts(opened(app, "experts"))


def test_a_damaged_record_gives_its_sentence(app: AppTest, served: Bundle, tmp_path) -> None:
    (tmp_path / served.name / "gates.json").write_text("{")
    app.switch_page("pages/experts/page.py").run()
    assert not app.exception and "training.gates again" in app.error[0].value.replace("\\", "")


def test_a_mixture_with_thresholds_can_be_used_elsewhere(page: AppTest) -> None:
    press(page, "use-mixture")
    assert session(page).classifier == "medfedpure" and session(page).examination.undefended.classifier == "medfedpure"
    assert "The other pages use this mixture" in texts(page)
    page.segmented_control(key="mixture-brain-mri").set_value("dwf").run()
    assert bench(page).mixture == "dwf" and "no thresholds yet" in texts(page)
    assert not [button for button in page.button if button.key == "use-mixture"]


def test_refused_scan_gives_its_sentence(app: AppTest, served: Bundle, choose: Choose) -> None:
    choose(app, "ct-small")
    app.switch_page("pages/experts/page.py").run()
    assert not app.exception and "modality CT" in texts(app) and session(app).state_of(ExpertsState) is None


def test_another_scan_lays_the_bench_out_anew(page: AppTest, choose: Choose) -> None:
    press(page, "experts-attack")
    old = bench(page)
    choose(page, OTHER.key)
    assert bench(page) is not old and list(bench(page).stages) == [CLEAN]


@pytest.mark.parametrize("name", SECTIONS)
def test_every_picture_and_chart_has_a_text(page: AppTest, name: str) -> None:
    section(page, name)
    charts, pictures = page.get("plotly_chart"), [picture for image in page.image for picture in image.proto.imgs]
    assert charts or pictures or name in SECTIONS[1::2]  # nothing is found, or nothing recorded
    assert all(chart.proto.alt for chart in charts) and all(picture.alt for picture in pictures)
