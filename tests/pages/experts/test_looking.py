"""Where the experts look, what the MAE attends to, and the map of gates."""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import Bundle
from core.explanation.attributions import attribution
from core.models.experts import NONE_LEFT
from pages.experts.state import CLEAN, Question
from tests.pages.experts.helpers import SCAN, Choose, bench, everything, press, record_gates, section
from tests.reading import opened, texts


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_raw_heads_and_rollout(page: AppTest) -> None:
    section(page, "Where they look")
    raw = bench(page).attention[CLEAN].raw
    assert len(raw) == 8 and len(raw[0]) == 9 and raw[0][0].shape == (16, 16)
    assert np.allclose(np.mean(raw[0][1:], 0), raw[0][0], atol=1e-6)
    page.selectbox(key="attention-head").select(3).run()
    assert not page.exception
    page.segmented_control(key="attention-kind").set_value("Rollout").run()
    assert not page.exception and "Abnar" in texts(page)


@pytest.mark.slow
def test_the_map_with_and_without_a_scan(app: AppTest, served: Bundle, choose: Choose, tmp_path) -> None:
    record_gates(tmp_path / served.name / "gates.json")
    opened(app, "experts")
    assert "n = 6 scans" in texts(app) and "python -m training.measure.gates" in texts(app)
    assert "These attacks move" in texts(app)
    choose(app, SCAN.key)
    section(opened(app, "experts"), "Map of gates")
    (found,) = [chart for chart in app.get("plotly_chart") if chart.proto.alt.startswith("Gate vectors")]
    chart = json.loads(found.proto.spec)
    assert "this scan" in {trace["name"] for trace in chart["data"]}
    assert {"Clean, tumour", "FGSM 8/255, no tumour", "PGD 8/255, tumour"} <= {trace["name"] for trace in chart["data"]}


@pytest.mark.slow
def test_gates_of_other_weights_are_not_shown(app: AppTest, served: Bundle, tmp_path) -> None:
    record_gates(tmp_path / served.name / "gates.json", weights="old")
    assert "not recorded for this mixture" in texts(opened(app, "experts"))


def test_a_damaged_record_gives_its_sentence(app: AppTest, served: Bundle, tmp_path) -> None:
    (tmp_path / served.name / "gates.json").write_text("{")
    app.switch_page("pages/experts/page.py").run()
    assert not app.exception and "training.measure.gates again" in app.error[0].value.replace("\\", "")
