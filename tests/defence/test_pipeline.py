import threading

import numpy as np
import pytest
import torch

from core import BundleError, ScanError, examine, load_scan
from core.attacks import AttackSettings, attack_scan
from core.defence.decision import decide_recorded
from core.defence.scope import is_colourful
from core.evaluation.responses import respond
from core.scans import write_derived_png


@pytest.fixture(scope="module")
def clean(sample_files):
    return load_scan(next(file for file in sample_files if file.name.startswith("tumour")))


@pytest.fixture(scope="module")
def attacked(clean, bundle):
    return attack_scan(clean, bundle)


def same(first, second):
    assert first.detection.scores == second.detection.scores
    assert first.prediction == second.prediction
    assert np.array_equal(first.detection.error_map, second.detection.error_map)
    if first.purification:
        assert np.array_equal(first.purification.estimate, second.purification.estimate)


def test_clean_scan_is_answered_without_purification(clean, bundle):
    exam = examine(clean, bundle)
    assert exam.label == "tumour"
    assert not exam.detection.flagged and exam.purification is None and exam.refused is None
    assert exam.prediction == exam.undefended
    assert sum(exam.prediction.probabilities.values()) == pytest.approx(1)
    assert {"prepare", "detect", "total"} == set(exam.seconds)
    assert exam.pixels.shape == (1, 128, 128)
    assert exam.detection.attention_map.shape == (16, 16)


@pytest.mark.slow
def test_attacked_scan_fools_the_classifier_and_not_the_defence(attacked, bundle):
    exam = examine(attacked, bundle)
    assert attacked.derived == "attacked"
    assert exam.undefended.label == "no tumour"
    assert exam.label == "tumour"
    assert exam.detection.flagged
    assert exam.purification.steps[-1].t == exam.purification.t_star
    assert {"purify", "classify"} < set(exam.seconds)


def test_a_borderline_answer_stands_although_purification_turns_it(attacked, bundle, unsure):
    usual, exam = examine(attacked, bundle), examine(attacked, unsure)
    assert (usual.label, usual.kept_borderline, usual.detection.kept_borderline) == ("tumour", False, False)
    assert (exam.label, exam.kept_borderline, exam.detection.flagged) == ("no tumour", True, True)
    assert exam.prediction == exam.undefended
    assert exam.purification.answer == usual.purification.answer == usual.prediction


@pytest.mark.slow
def test_recorded_answers_are_decided_as_the_pipeline_decides(clean, attacked, bundle, unsure):
    for own in (bundle, unsure):
        for scan in (clean, attacked):
            exam = examine(scan, own)
            pixels = torch.from_numpy(exam.pixels)[None]
            answers = respond(pixels, pixels, own, "resnet18", 0)
            decision = decide_recorded(answers, [own.limits_of("resnet18")])
            assert own.classes[decision.answers[0]] == exam.label
            assert answers.certainty[0] == pytest.approx(exam.undefended.confidence, abs=1e-5)


def test_attack_stays_within_its_budget_in_the_file(clean, attacked):
    assert np.abs(attacked.frame() - clean.frame()).max() <= 8 / 255 + 1e-4


@pytest.mark.slow
def test_same_seed_same_result_and_another_seed_another(attacked, bundle):
    same(examine(attacked, bundle, seed=3), examine(attacked, bundle, seed=3))
    first, second = examine(attacked, bundle, seed=3), examine(attacked, bundle, seed=4)
    assert not np.array_equal(first.purification.estimate, second.purification.estimate)


@pytest.mark.slow
def test_two_visitors_at_once_do_not_change_each_other(clean, attacked, bundle):
    alone = {0: examine(clean, bundle), 1: examine(attacked, bundle)}
    together = {}
    threads = [
        threading.Thread(target=lambda i=i, scan=scan: together.update({i: examine(scan, bundle)}))
        for i, scan in enumerate((clean, attacked))
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for index in alone:
        same(alone[index], together[index])


def test_no_global_randomness_is_touched(clean, bundle):
    before = torch.random.get_rng_state()
    examine(clean, bundle)
    attack_scan(clean, bundle, AttackSettings("pgd", steps=2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_modality_is_refused_before_anything_is_computed(bundle):
    from pydicom.data import get_testdata_file

    exam = examine(load_scan(get_testdata_file("CT_small.dcm", download=False)), bundle)
    assert exam.label is None and exam.detection is None
    assert "modality CT" in exam.refused and "MR" in exam.refused


def test_noise_and_photographs_are_refused_by_content(tmp_path, bundle):
    from skimage import data

    pictures = {"noise": np.random.default_rng(0).random((128, 128)), "photo": data.camera() / 255}
    for name, picture in pictures.items():
        write_derived_png(tmp_path / f"{name}.png", picture)
        exam = examine(load_scan(tmp_path / f"{name}.png"), bundle)
        assert exam.refused and exam.label is None and exam.purification is None, name
        assert exam.scope_distance > exam.scope_limit
        assert exam.detection is not None


def test_colour_is_refused_and_chroma_noise_is_not():
    grey = np.repeat(np.random.default_rng(0).random((64, 64, 1)), 3, axis=-1)
    marked = grey.copy()
    marked[:8, :20] = (1, 0, 0)
    assert not is_colourful(np.clip(grey + np.random.default_rng(1).normal(0, 0.01, grey.shape), 0, 1))
    assert not is_colourful(marked)
    assert is_colourful(np.random.default_rng(2).random((64, 64, 3)))


def test_wrong_frame_and_classifier_are_sentences(clean, bundle):
    with pytest.raises(ScanError):
        examine(clean, bundle, frame=7)
    with pytest.raises(BundleError):
        examine(clean, bundle, classifier="vgg")
