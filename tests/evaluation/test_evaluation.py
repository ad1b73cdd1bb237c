from dataclasses import replace

import numpy as np
import pytest
import torch

from core import examine, load_scan
from core.attacks import AttackSettings
from core.bundles.calibration import Borderline, Calibration, Limits, Responses
from core.cli.schema import checked
from core.defence import fitting
from core.defence.decision import decide_recorded
from core.defence.fitting import FOLDS, cross_fitted_limits, fitted_limits, folds
from core.evaluation import responses
from core.evaluation.datasets import image_digest, load_dataset
from core.evaluation.evaluation import evaluate, own_limits, settings_record
from core.evaluation.responses import CLEAN, Notebook, collect, collect_all
from core.evaluation.summary import summary
from core.models.resnet import NarrowResNet18
from core.purification.ddim import purify_steps
from core.purification.settings import PurifySettings
from core.scans import write_derived_png
from tests.defended import NAME, SIDE, defended_bundle, invented_calibration, scans, small_diffusion


@pytest.fixture(scope="module")
def data():
    return scans(6)


@pytest.fixture(scope="module")
def tiny(data):
    """Small networks, with limits that flag some of the scans and purify them at different t*."""
    bundle = defended_bundle()
    found = {name: np.array(values) for name, values in collect(data, bundle, NAME, CLEAN).scores.items()}
    ladder = ((float(np.quantile(found["amv"], 0.9)), 40), (float("inf"), 100))
    thresholds = {name: float(np.quantile(values, 0.7)) for name, values in found.items()}
    return replace(bundle, limits={NAME: Limits(thresholds, 1e9, ladder)})


@pytest.fixture(scope="module")
def report(data, tiny):
    return evaluate(data, tiny, attack=AttackSettings("pgd", steps=3))


@pytest.mark.slow
def test_report_is_what_the_schema_declares(report, data, tiny):
    settings = settings_record(data, tiny, None, AttackSettings("pgd"), "val", 0, "python -m core evaluate")
    checked("evaluate", report | {"settings": settings | {"profile": None}})
    assert 0 < report["flagged_clean"] < 1


@pytest.mark.slow
def test_the_defence_undoes_the_attack_on_the_samples(sample_set, bundle):
    data = load_dataset(sample_set, bundle.classes, bundle.resolution, bundle.channels).split("val").limited(6, 0)
    report = evaluate(data, bundle, attack=AttackSettings("pgd", steps=10))
    assert report["clean_accuracy"] == 1
    assert report["attacked_accuracy"] < 0.5
    assert report["defended_attacked_accuracy"] > report["attacked_accuracy"]
    assert report["detection"]["instability"]["auc"] > report["detection"]["mae_error"]["auc"]


@pytest.mark.slow
def test_evaluate_and_examine_answer_alike(data, tiny, tmp_path):
    answers = collect(data, tiny, NAME, CLEAN)
    decided = decide_recorded(answers, tiny.limits[NAME])
    for place, pixels in enumerate(data.pixels):
        write_derived_png(tmp_path / "scan.png", pixels[0].numpy())
        exam = examine(load_scan(tmp_path / "scan.png"), tiny)
        recorded = {name: values[place] for name, values in answers.scores.items()}
        assert recorded == pytest.approx(exam.detection.scores, rel=1e-3)
        assert exam.detection.flagged == decided.flagged[place]
        assert exam.label == tiny.classes[decided.answers[place]]
        assert (exam.purification.t_star if exam.purification else 0) == decided.t_star[place]
    assert set(decided.t_star) == {0, 40, 100}


@pytest.mark.slow
def test_another_purifier_takes_the_place_of_the_adaptive_one(data, tiny):
    one = data.limited(2, 0)
    plain = collect(one, tiny, NAME, CLEAN, purifier=PurifySettings("none"))
    assert all(answers == plain.undefended for answers in plain.estimates.values())
    assert all(value == 1 for values in plain.ssim.values() for value in values)
    assert len({tuple(values) for values in collect(one, tiny, NAME, CLEAN).ssim.values()}) > 1


def answers(undefended, amv, scope=0.0, estimate=1, certainty=1.0):
    count = len(undefended)
    scores = {"mae_error": [0.0] * count, "amv": amv, "instability": [0.0] * count}
    by_t = {40: [estimate] * count, 60: [estimate] * count}
    ssim = {40: [0.9] * count, 60: [0.8] * count}
    seconds = {"detect": 0.1, "purify": 0.05}
    return Responses(undefended, [certainty] * count, scores, [scope] * count, by_t, ssim, seconds)


LIMITS = Limits({"mae_error": 1.0, "amv": 1.0, "instability": 1.0}, 5.0, ((2.0, 40), (float("inf"), 60)))


def test_summary_of_answers_that_are_solved_by_hand():
    labels, groups, limits = np.array([1, 1, 0, 0]), tuple("abcd"), [LIMITS] * 4
    clean = answers([1, 1, 0, 0], [0.5, 0.5, 0.5, 1.5])
    attacked = answers([0, 0, 1, 0], [1.5, 3.0, 0.5, 0.5])
    report = summary(labels, groups, limits, clean, attacked)
    assert (report["clean_accuracy"], report["flagged_clean"]) == (1, 0.25)
    assert report["defended_clean_accuracy"] == 0.75  # the fourth is flagged, and its estimate says 1
    assert (report["attacked_accuracy"], report["defended_attacked_accuracy"]) == (0.25, 0.75)
    assert report["defended_attacked_of_right"] == 0.75
    assert report["flagged_successful"] == pytest.approx(2 / 3)
    assert report["flagged_label_kept"] == 0
    assert report["ssim_purified"] == pytest.approx(0.85)
    assert report["seconds_per_image"] == pytest.approx(0.1 + 0.25 * 0.05)


def test_shares_are_reported_by_site_as_well():
    clean, sites = answers([1, 0, 0, 0], [0.5, 0.5, 0.5, 1.5]), ("A", "A", "B", "B")
    report = summary(np.array([1, 1, 0, 0]), tuple("abcd"), [LIMITS] * 4, clean, columns={"sites": sites})
    first, second = report["sites"]["A"], report["sites"]["B"]
    assert (first["n"], first["clean_accuracy"], second["clean_accuracy"]) == (2, 0.5, 1)
    assert second["flagged_clean"] == 0.5 and second["intervals"]["flagged_clean"] == [0, 1]


def test_what_was_wrong_before_the_attack_is_not_held_against_the_defence():
    clean, attacked = answers([0, 1, 0, 0], [0.5] * 4), answers([0, 0, 1, 0], [1.5, 3.0, 0.5, 0.5])
    report = summary(np.array([1, 1, 0, 0]), tuple("abcd"), [LIMITS] * 4, clean, attacked, {"sites": tuple("XYYX")})
    assert report["defended_attacked_accuracy"] == 0.75
    assert report["defended_attacked_of_right"] == pytest.approx(2 / 3)  # the first is put right, and doesn't count
    assert [report["sites"][site]["defended_attacked_of_right"] for site in "XY"] == [1, 0.5]
    wrong = summary(np.array([1]), ("a",), [LIMITS], answers([0], [0.5]), answers([0], [0.5]))
    assert wrong["defended_attacked_of_right"] is None


def test_a_borderline_answer_stands_in_the_figures():
    labels, limits = np.array([1, 1, 0, 0]), replace(LIMITS, borderline=Borderline(0.9, 0.05))
    clean, attacked = ([1, 1, 0, 0], [0.5, 0.5, 0.5, 1.5]), ([0, 0, 1, 0], [1.5, 3.0, 0.5, 0.5])
    parts = answers(*clean, certainty=0.9), answers(*attacked, certainty=0.9)
    report = summary(labels, tuple("abcd"), [limits] * 4, *parts)
    assert (report["defended_clean_accuracy"], report["defended_attacked_accuracy"]) == (1, 0.25)
    assert (report["flagged_clean"], report["flagged_attacked"], report["flagged_label_kept"]) == (0.25, 0.5, 1)


def test_a_refusal_counts_as_wrong():
    report = summary(np.array([1, 0]), ("a", "b"), [LIMITS] * 2, answers([1, 0], [0.5, 0.5], scope=9.0))
    assert (report["refused"], report["clean_accuracy"], report["defended_clean_accuracy"]) == (2, 1, 0)


@pytest.mark.slow
def test_several_classifiers_answer_at_once_as_each_would_alone(tiny, data):
    one = data.subset(np.arange(2))
    other = defended_bundle(seed=1).classifiers[NAME]
    both = replace(tiny, classifiers={NAME: tiny.classifiers[NAME], "other": other})
    notebooks = {name: Notebook(None) for name in both.classifiers}
    answers = collect_all(one, both, notebooks, AttackSettings("gaussian-noise"))
    for name, network in both.classifiers.items():
        alone = collect(one, replace(tiny, classifiers={NAME: network}), NAME, AttackSettings("gaussian-noise"))
        assert replace(answers[name], seconds={}) == replace(alone, seconds={})
    assert answers[NAME].certainty != answers["other"].certainty


@pytest.mark.slow
def test_an_evaluation_that_was_cut_off_goes_on_where_it_stopped(data, tiny, tmp_path, monkeypatch):
    file, fast = tmp_path / "answers.jsonl", AttackSettings("fgsm")
    whole = evaluate(data, tiny, attack=fast)
    stop = iter([False, False, True])
    calls = []

    def respond(*words):
        calls.append(1)
        if next(stop, False):
            raise KeyboardInterrupt
        return real(*words)

    real = responses.respond_all
    monkeypatch.setattr(responses, "respond_all", respond)
    with pytest.raises(KeyboardInterrupt):
        evaluate(data, tiny, attack=fast, resume=file)
    with file.open("a") as torn:
        torn.write('{"pass": "attacked", "first": 0, "resp')
    calls.clear()
    report = evaluate(data, tiny, attack=fast, resume=file)
    assert len(calls) == 2  # of four batches, two were known
    assert {**report, "seconds_per_image": 0} == {**whole, "seconds_per_image": 0}
    with pytest.raises(ValueError, match="another evaluation"):
        evaluate(data, tiny, attack=AttackSettings("fgsm", eps=2), resume=file)
    other = data.subset([*range(1, len(data)), 0])
    with pytest.raises(ValueError, match="another evaluation"):
        evaluate(other, tiny, attack=fast, resume=file)


@pytest.mark.slow
def test_calibration_scans_never_meet_thresholds_that_saw_them(data, tiny, monkeypatch):
    """Four of the scans were calibrated on, two in a group; what is fitted is here what it is fitted on."""
    digests = [image_digest(pixels) for pixels in data.pixels[:4]] + [f"another {place}" for place in range(16)]
    groups = [str(place // 2) for place in range(20)]
    known = replace(tiny, calibrations={NAME: Calibration(groups, digests, [0] * 20, {})})
    monkeypatch.setattr(fitting, "fitted_limits", lambda calibration, kept: kept)
    *calibrated, fifth, sixth = own_limits(data, known, NAME)
    fold = folds(groups)
    for place, kept in enumerate(calibrated):
        assert kept.tolist() == (fold != fold[place]).tolist()
    assert fifth is sixth is tiny.limits[NAME]


def test_limits_are_fitted_for_every_fold():
    calibration = invented_calibration()
    fold, fitted = folds(calibration.groups), cross_fitted_limits(calibration)
    assert len({repr(limits) for limits in fitted}) == FOLDS
    for place in range(3):
        assert fitted[place] == fitted_limits(calibration, fold != fold[place])


def test_white_box_gradient_through_the_purifier_is_the_real_one():
    """Against central differences, in float64, through diffusion, U-Net and classifier."""
    torch.manual_seed(0)
    diffusion = small_diffusion().double().eval()
    diffusion.predict_noise = lambda noisy, t, label=None: diffusion.unet(noisy, t).sample
    network = NarrowResNet18(1, 2).double().eval()
    noise = torch.randn(1, 1, SIDE, SIDE, dtype=torch.float64)

    def loss(pixels):
        *_, step = purify_steps(pixels, 60, 2, diffusion, noise)
        return network(step.estimate)[0, 1]

    pixels = torch.rand(1, 1, SIDE, SIDE, dtype=torch.float64) * 0.2 + 0.4
    direction = torch.randn_like(pixels)
    leaf = pixels.clone().requires_grad_()
    slope = (torch.autograd.grad(loss(leaf), leaf)[0] * direction).sum().item()
    with torch.no_grad():
        measured = (loss(pixels + 1e-5 * direction) - loss(pixels - 1e-5 * direction)).item() / 2e-5
    assert slope == pytest.approx(measured, rel=1e-4)


@pytest.mark.slow
def test_white_box_attack_runs_through_the_defence(data, tiny):
    one = data.limited(2, 0)
    settings = AttackSettings("pgd", steps=1, eot=2, white_box=True)
    report = evaluate(one, tiny, attack=settings)
    assert report["n"] == 2 and report["attacked_accuracy"] is not None
