"""Flipping bits on the Faults page: the value, the answer, the guard, and what stays."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from streamlit.testing.v1 import AppTest

import core
from core import Bundle, Prediction
from core.faults import FORMATS, Fault, damaged, flipped_value, network_digest
from core.faults.view import largest_weight, stored_value
from pages.faults.layers import _enter
from pages.faults.study import NO_LABELS
from pages.faults.verdict import said
from pages.faults.words import NO_NUMBER, value_text
from pages.shared.runtime import bundle as cached_bundle
from tests.pages.faults.helpers import (
    BIAS,
    OTHER,
    SCAN,
    WEIGHT,
    Choose,
    _nan_bits,
    bench,
    flip_the_answer,
    guard,
    look_at,
    press,
    section,
)
from tests.reading import opened, texts


@pytest.mark.slow
def test_a_flipped_bit_changes_value_and_decision(page: AppTest, models: Bundle) -> None:
    before, digest = bench(page).answer.before, network_digest(models.classifiers["resnet18"])
    value = stored_value(models.classifiers["resnet18"], BIAS, 0, "float32")
    look_at(page, BIAS)
    press(page, "bit-30")
    assert f"Value: {value_text(value)} → {value_text(flipped_value(value, 30))}" in texts(page)
    press(page, "bit-30")
    flip_the_answer(page)
    after = bench(page).answer.after
    assert after.undefended.label != before.undefended.label and "Was: Tumour" in texts(page)
    assert page.title[1].value.lower() == after.label
    assert network_digest(models.classifiers["resnet18"]) == digest
    table = page.table[0].value.to_string().replace("\\", "")
    assert BIAS in table and "exponent" in table and "→" in table


@pytest.mark.slow
def test_undo_takes_back_one_flip_or_all(page: AppTest) -> None:
    sound = bench(page).answer.before.undefended.probabilities
    look_at(page, BIAS)
    press(page, "bit-30")
    press(page, "bit-3")
    assert [fault.bit for fault in bench(page).flips] == [30, 3]
    press(page, "faults-undo")
    assert [fault.bit for fault in bench(page).flips] == [30]
    press(page, "bit-2")
    press(page, "faults-undo-all")
    assert not bench(page).flips and not page.table and "No bit is flipped" in texts(page)
    assert bench(page).answer.after.undefended.probabilities == sound
    assert page.button(key="faults-undo-all").disabled


@pytest.mark.slow
def test_an_answer_without_numbers_is_told_in_words(page: AppTest) -> None:
    bits = _nan_bits(page)
    assert math.isnan(stored_value(bench(page).module, WEIGHT, 0, "float32", bits))
    bench(page).toggle(*(Fault(WEIGHT, 0, bit) for bit in bits))
    page.run()
    assert page.title[1].value == NO_NUMBER and "NaN" in texts(page)
    assert "nan %" not in texts(page).lower() and not page.error


@pytest.mark.parametrize(("altered", "flagged"), [(True, False), (None, True)])
def test_where_the_policy_purifies_nothing_no_estimate_is_told_of(altered: bool | None, flagged: bool) -> None:
    answer = Prediction("hardened", {"no tumour": 0.1, "tumour": 0.9})
    exam = SimpleNamespace(
        prediction=answer, undefended=answer, scope_distance=1.0, kept_borderline=False, left_alone=True,
        detection=SimpleNamespace(flagged=flagged, altered=altered),
    )  # fmt: skip
    about = said(exam).about
    assert "purifies nothing: answered on the scan as it is" in about and "estimate" not in about


@pytest.mark.slow
def test_the_guard_detects_and_repairs(page: AppTest) -> None:
    flip_the_answer(page)
    sound = bench(page).answer.before.undefended.probabilities
    assert "nobody notices" in texts(page)
    guard(page, "detect")
    assert page.title[1].value == "No answer" and "Alarm: damage in 1 tensor" in texts(page)
    guard(page, "repair")
    assert bench(page).answer.after.undefended.probabilities == pytest.approx(sound, abs=1e-5)
    assert f"{BIAS} was put right in memory" in texts(page) and " ms, repaired in " in texts(page)
    assert bench(page).flips  # the flips are still there, the guard works on what came of them
    press(page, "faults-undo-all")
    assert "the guard sees nothing" in texts(page)


@pytest.mark.slow
def test_random_flips_in_weights_and_activations(page: AppTest) -> None:
    page.number_input(key="faults-count").set_value(16).run()
    press(page, "faults-flip")
    faults = list(bench(page).flips)
    assert len(set(faults)) == 16 and {fault.kind for fault in faults} == {"weight"}
    assert bench(page).tensor == faults[0].tensor and "16 flipped bits" in texts(page)
    press(page, "faults-undo-all")
    page.segmented_control(key="faults-kind-True").set_value("Activations").run()
    page.segmented_control(key="faults-where-This layer").set_value("This layer").run()
    press(page, "faults-flip")
    assert {(fault.kind, fault.tensor) for fault in bench(page).flips} == {("activation", bench(page).layer.name)}
    guard(page, "repair")
    assert not page.error


@pytest.mark.slow
def test_more_flips_than_bits_give_a_sentence(page: AppTest) -> None:
    page.segmented_control(key="faults-network-brain-mri").set_value("mae").run()
    tensors = {name: count for layer in bench(page).layers for name, count in layer.tensors.items()}
    smallest = min(tensors, key=tensors.__getitem__)
    look_at(page, smallest)
    page.number_input(key="faults-count").set_value(1000).run()
    page.segmented_control(key="faults-where-This tensor").set_value("This tensor").run()
    press(page, "faults-flip")
    bits = tensors[smallest] * FORMATS[bench(page).form].bits
    assert f"There are only {bits} such bits" in texts(page) and not bench(page).flips


@pytest.mark.slow
def test_another_format_is_another_memory(page: AppTest) -> None:
    look_at(page, BIAS)
    press(page, "bit-30")
    page.segmented_control(key="faults-form-brain-mri-resnet18").set_value("bfloat16").run()
    assert not bench(page).flips and not [button for button in page.button if button.key == "bit-16"]
    press(page, "bit-14")
    assert bench(page).flips == [Fault(BIAS, 0, 14, "bfloat16")]


@pytest.mark.slow
def test_layer_tensor_and_number_are_chosen(page: AppTest) -> None:
    page.selectbox(key="faults-layer-brain-mri-resnet18-").select("layer4.0").run()
    assert bench(page).tensor.startswith("network.layer4.0.") and bench(page).index == 0
    before = bench(page).tensor
    for key in ("faults-layer-brain-mri-resnet18-", "faults-tensor-brain-mri-resnet18-layer4.0"):
        page.selectbox(key=key).set_value(None).run()  # as a browser says that draws the list anew
        assert not page.exception and bench(page).tensor == before and page.selectbox(key=key).value
    _enter(bench(page), None)
    assert bench(page).tensor == before
    press(page, "faults-largest")
    assert bench(page).index == largest_weight(bench(page).module, bench(page).tensor)
    press(page, "faults-random")
    first = bench(page).index
    press(page, "faults-random")
    assert bench(page).index != first


@pytest.mark.slow
def test_the_damage_stays_with_the_network_when_the_scan_changes(page: AppTest, choose: Choose) -> None:
    flip_the_answer(page)
    flips, first = list(bench(page).flips), bench(page).answer
    choose(page, OTHER.key)
    assert bench(page).flips == flips and bench(page).answer is not first
    assert bench(page).answer.before.file == OTHER.path.name
    page.segmented_control(key="faults-network-brain-mri").set_value("mae").run()
    assert not bench(page).flips and not page.exception


@pytest.mark.slow
def test_other_pages_use_the_sound_network(page: AppTest) -> None:
    before = page.session_state["session"].examination.undefended.probabilities
    flip_the_answer(page)
    page.switch_page("pages/examine/page.py").run()
    assert page.session_state["session"].examination.undefended.probabilities == before


@pytest.mark.slow
def test_a_damaged_autoencoder_changes_the_error_map(page: AppTest) -> None:
    page.segmented_control(key="faults-network-brain-mri").set_value("mae").run()
    press(page, "faults-largest")
    bit = {"float32": 30, "bfloat16": 14}[bench(page).form]
    press(page, f"bit-{bit}")
    answer = bench(page).answer
    changed = (
        answer.after.detection is None or (answer.after.detection.error_map != answer.before.detection.error_map).any()
    )
    assert changed and not page.error
    section(page, "Curves")
    assert NO_LABELS in texts(page)


@pytest.mark.slow
def test_a_classifier_without_thresholds_answers_alone(page: AppTest, models: Bundle) -> None:
    page.segmented_control(key="faults-network-brain-mri").set_value("plain").run()
    assert "no thresholds yet" in texts(page) and not page.error
    press(page, "faults-largest")
    press(page, "bit-30")
    copy = damaged(models.classifiers["plain"], bench(page).flips)
    pixels = torch.from_numpy(bench(page).answer.after.pixels)[None]
    expected = copy(pixels).softmax(1)[0]
    got = torch.tensor(list(bench(page).answer.after.undefended.probabilities.values()))
    assert torch.equal(expected, got) or (expected.isnan().any() and NO_NUMBER in texts(page))


@pytest.mark.slow
def test_a_bundle_without_autoencoder_works(app: AppTest, served: Bundle, choose: Choose, monkeypatch) -> None:
    alone = dataclasses.replace(served, mae=None, robust_mae=None, diffusion=None)
    monkeypatch.setattr(core, "load_bundle", lambda name: alone)
    cached_bundle.clear()
    choose(app, SCAN.key)
    opened(app, "faults")
    assert "holds no masked autoencoder" in texts(app)
    assert not any("Error map" in (image.proto.imgs[0].caption or "") for image in app.image)
    flip_the_answer(app)
    assert "Was: Tumour" in texts(app) and not app.error


def test_without_a_scan_the_memory_can_still_be_looked_at(app: AppTest, served: Bundle) -> None:
    opened(app, "faults")
    assert "Choose a sample" in texts(app)
    press(app, "bit-30")
    assert len(bench(app).flips) == 1 and not app.error


def test_refused_scan_gives_its_sentence(app: AppTest, served: Bundle, choose: Choose) -> None:
    choose(app, "ct-small")
    opened(app, "faults")
    assert app.title[1].value == "Refused" and "modality CT" in texts(app)
