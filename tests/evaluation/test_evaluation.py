from dataclasses import replace

import numpy as np
import pytest
import torch

from core.attacks import AttackSettings
from core.bundles import in_float32
from core.bundles.calibration import Borderline, Limits, Responses
from core.cli.schema import checked
from core.defence.fitting import fitted_limits, folds
from core.evaluation import evaluation, responses
from core.evaluation.datasets import load_dataset
from core.evaluation.evaluation import evaluate, own_limits, settings_record
from core.evaluation.responses import CLEAN, Notebook, collect, collect_all
from core.evaluation.summary import summary
from core.purification.settings import PurifySettings


@pytest.fixture(scope="module")
def data(sample_set, bundle):
    return load_dataset(sample_set, bundle.classes, 128, 1).split("val").limited(6, 0)


@pytest.fixture(scope="module")
def report(data, bundle):
    return evaluate(data, bundle, attack=AttackSettings("pgd", steps=10))


def test_report_is_what_the_schema_declares(report, data, bundle):
    settings = settings_record(data, bundle, None, AttackSettings("pgd"), "val", 0, "python -m core evaluate")
    checked("evaluate", report | {"settings": settings})


def test_the_defence_undoes_the_attack_on_the_samples(report):
    assert report["clean_accuracy"] == 1
    assert report["attacked_accuracy"] < 0.5
    assert report["defended_attacked_accuracy"] > report["attacked_accuracy"]
    assert report["detection"]["instability"]["auc"] > report["detection"]["mae_error"]["auc"]


def test_evaluate_and_examine_answer_alike(data, bundle, sample_files):
    from core import examine, load_scan

    exact = in_float32(bundle)  # batches round differently in bfloat16, and processors from one another
    scores = np.array(collect(data, exact, "resnet18", CLEAN).scores["amv"])
    single = [examine(load_scan(file), exact).detection.scores["amv"] for file in sample_files]
    # The data set holds 8 bits and the files 16.
    assert all(np.abs(np.array(single) / score - 1).min() < 0.05 for score in scores)


def test_another_purifier_takes_the_place_of_the_adaptive_one(data, bundle):
    one = data.limited(2, 0)
    plain = collect(one, bundle, "resnet18", CLEAN, purifier=PurifySettings("none"))
    assert all(answers == plain.undefended for answers in plain.estimates.values())
    assert all(value == 1 for values in plain.ssim.values() for value in values)
    assert len({tuple(values) for values in collect(one, bundle, "resnet18", CLEAN).ssim.values()}) > 1


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
    assert report["flagged_successful"] == pytest.approx(2 / 3)
    assert report["flagged_label_kept"] == 0
    assert report["ssim_purified"] == pytest.approx(0.85)
    assert report["seconds_per_image"] == pytest.approx(0.1 + 0.25 * 0.05)


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


def test_several_classifiers_answer_at_once_as_each_would_alone(bundle, data):
    one = data.subset(np.arange(2))
    twins = replace(bundle, classifiers=dict.fromkeys(("resnet18", "twin"), bundle.classifiers["resnet18"]))
    notebooks = {name: Notebook(None) for name in twins.classifiers}
    answers = collect_all(one, twins, notebooks, AttackSettings("gaussian-noise"))
    alone = collect(one, bundle, "resnet18", AttackSettings("gaussian-noise"))
    for name in twins.classifiers:
        assert replace(answers[name], seconds={}) == replace(alone, seconds={})


def test_an_evaluation_that_was_cut_off_goes_on_where_it_stopped(data, bundle, tmp_path, monkeypatch):
    file, fast = tmp_path / "answers.jsonl", AttackSettings("fgsm")
    whole = evaluate(data, bundle, attack=fast)
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
        evaluate(data, bundle, attack=fast, resume=file)
    with file.open("a") as torn:
        torn.write('{"pass": "attacked", "first": 0, "resp')
    calls.clear()
    report = evaluate(data, bundle, attack=fast, resume=file)
    assert len(calls) == 2  # of four batches, two were known
    assert {**report, "seconds_per_image": 0} == {**whole, "seconds_per_image": 0}
    with pytest.raises(ValueError, match="another evaluation"):
        evaluate(data, bundle, attack=AttackSettings("fgsm", eps=2), resume=file)


def test_calibration_scans_never_meet_thresholds_that_saw_them(data, bundle, monkeypatch):
    calibration = bundle.calibrations["resnet18"]
    known = iter(calibration.digests)
    monkeypatch.setattr(evaluation, "image_digest", lambda pixels: next(known))
    fitted = own_limits(data, bundle, "resnet18")
    assert all(limits is not bundle.limits["resnet18"] for limits in fitted)
    fold = folds(calibration.groups)
    for index, limits in enumerate(fitted):
        assert limits == fitted_limits(calibration, fold != fold[index])


def test_unknown_scans_meet_the_bundles_own_thresholds(data, bundle):
    assert all(limits is bundle.limits["resnet18"] for limits in own_limits(data, bundle, "resnet18"))


def test_white_box_gradient_through_the_purifier_is_the_real_one():
    """Against central differences, in float64, through diffusion, U-Net and classifier."""
    from core.models.diffusion import Diffusion
    from core.models.resnet import NarrowResNet18
    from core.purification.ddim import purify_steps

    torch.manual_seed(0)
    config = {
        "sample_size": 16,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": [8, 8],
        "norm_num_groups": 4,
    }
    config |= {"layers_per_block": 1, "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}
    diffusion = Diffusion(config).double().eval()
    diffusion.predict_noise = lambda noisy, t, label=None: diffusion.unet(noisy, t).sample
    network = NarrowResNet18(1, 2).double().eval()
    noise = torch.randn(1, 1, 16, 16, dtype=torch.float64)

    def loss(pixels):
        *_, step = purify_steps(pixels, 60, 2, diffusion, noise)
        return network(step.estimate)[0, 1]

    pixels = torch.rand(1, 1, 16, 16, dtype=torch.float64) * 0.2 + 0.4
    direction = torch.randn_like(pixels)
    leaf = pixels.clone().requires_grad_()
    slope = (torch.autograd.grad(loss(leaf), leaf)[0] * direction).sum().item()
    with torch.no_grad():
        measured = (loss(pixels + 1e-5 * direction) - loss(pixels - 1e-5 * direction)).item() / 2e-5
    assert slope == pytest.approx(measured, rel=1e-4)


def test_white_box_attack_runs_through_the_defence(data, bundle):
    one = data.limited(1, 0)
    settings = AttackSettings("pgd", steps=1, eot=2, white_box=True)
    report = evaluate(one, bundle, attack=settings)
    assert report["n"] == 1 and report["attacked_accuracy"] is not None
