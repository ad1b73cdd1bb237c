import numpy as np
import pytest
import torch

from core.audit.datasets import load_dataset
from core.audit.evaluation import Answers, AttackSettings, answer_clean, cross_fitted_limits, evaluate, settings_record
from core.bundles import load_bundle
from core.schema import checked


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

    answers = answer_clean(data, bundle)
    scores = np.array(answers.scores["amv"])
    single = [examine(load_scan(file), bundle).detection.scores["amv"] for file in sample_files]
    # The data set holds 8 bits and the files 16, and batches round differently in bfloat16.
    assert all(np.abs(np.array(single) / score - 1).min() < 0.05 for score in scores)


def test_a_refusal_counts_as_wrong():
    answers = Answers(undefended=[1, 0], defended=[-1, 0])
    assert answers.correct(torch.tensor([1, 0]), defended=True).tolist() == [0, 1]


def test_calibration_scans_never_meet_thresholds_that_saw_them(data, bundle, monkeypatch):
    import core.audit.evaluation as evaluation

    calibration = bundle.calibrations["resnet18"]
    known = iter(calibration.digests)
    monkeypatch.setattr(evaluation, "image_digest", lambda pixels: next(known))
    fitted = cross_fitted_limits(data, bundle, "resnet18")
    assert all(limits is not bundle.limits["resnet18"] for limits in fitted)
    fold = evaluation.folds(calibration.groups)
    for index, limits in enumerate(fitted):
        assert limits == evaluation.fitted_limits(calibration, fold != fold[index])


def test_unknown_scans_meet_the_bundles_own_thresholds(data, bundle):
    assert all(limits is bundle.limits["resnet18"] for limits in cross_fitted_limits(data, bundle, "resnet18"))


def test_white_box_gradient_through_the_purifier_is_the_real_one():
    """Against central differences, in float64, through diffusion, U-Net and classifier."""
    from core.models.diffusion import Diffusion
    from core.models.resnet import HalfResNet18
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
    network = HalfResNet18(1, 2).double().eval()
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
    exact = load_bundle("brain-mri", torch.float32)
    one = data.limited(1, 0)
    settings = AttackSettings("pgd", steps=1, eot=2, white_box=True)
    report = evaluate(one, bundle, attack=settings, attack_bundle=exact)
    assert report["n"] == 1 and report["attacked_accuracy"] is not None
