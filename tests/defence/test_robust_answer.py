"""Who answers on a purified scan: the classifier that was trained against attacks, where there is one."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from core import examine, load_scan
from core.attacks import DefendedModel
from core.bundles import Bundle, weights_record
from core.bundles.calibration import Limits, Responses
from core.defence.decision import decide_recorded
from core.evaluation.responses import respond
from tests.defended import NAME, defended_bundle, scans

ROBUST = "robust"
FLAGGED = Limits({"instability": -1.0}, float("inf"), ((float("inf"), 40),))
ALTERED = replace(FLAGGED, altered=("instability",))


class Always(nn.Module):
    """Gives every image the class of this number."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return 5 * nn.functional.one_hot(torch.full((len(pixels),), self.number), 2).float() + 0 * pixels.mean()


def two_opinions(limits: Limits, classes: tuple[int, int] = (0, 1)) -> Bundle:
    bundle, (own, robust) = defended_bundle(), map(Always, classes)
    entries = {NAME: {"file": "resnet18.safetensors", "robust": ROBUST}, ROBUST: {"file": "robust.safetensors"}}
    entries["other"] = {"file": "other.safetensors"}
    return replace(
        bundle,
        classifiers={NAME: own, ROBUST: robust, "other": own},
        facts=bundle.facts | {"classifiers": entries},
        hashes=bundle.hashes | {"robust.safetensors": "4" * 64, "other.safetensors": "5" * 64},
        limits={NAME: limits},
    )


@pytest.mark.parametrize("limits", [FLAGGED, ALTERED])
def test_a_purified_scan_is_answered_by_the_robust_classifier(limits):
    bundle, pixels = two_opinions(limits), scans(3).pixels
    recorded = decide_recorded(respond(pixels, pixels, bundle, NAME, 0), limits).answers
    defended = DefendedModel(bundle, NAME)(pixels).argmax(1)
    assert recorded.tolist() == defended.tolist() == [1, 1, 1]


def test_a_scan_that_is_not_purified_is_answered_by_its_own_classifier():
    quiet = replace(FLAGGED, thresholds={"instability": float("inf")})
    bundle, pixels = two_opinions(quiet), scans(3).pixels
    recorded = decide_recorded(respond(pixels, pixels, bundle, NAME, 0), quiet).answers
    assert recorded.tolist() == DefendedModel(bundle, NAME)(pixels).argmax(1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("limits", [FLAGGED, ALTERED])
def test_the_examination_says_who_answered(sample_files, limits):
    exam = examine(load_scan(sample_files[0]), two_opinions(limits))
    assert exam.purification.answer.classifier == exam.prediction.classifier == ROBUST
    assert exam.undefended.classifier == NAME


def test_a_classifier_of_its_own_answers_where_the_bundle_names_no_other():
    bundle = two_opinions(FLAGGED)
    assert bundle.answering("other") == "other"
    answers = respond(scans(2).pixels, scans(2).pixels, replace(bundle, limits={"other": FLAGGED}), "other", 0)
    assert answers.robust == {} and decide_recorded(answers, FLAGGED).answers.tolist() == [0, 0]


def test_figures_depend_on_the_robust_weights_too():
    bundle = two_opinions(FLAGGED)
    assert "robust.safetensors" in weights_record(bundle, NAME)
    assert "robust.safetensors" not in weights_record(bundle, "other")


def test_recorded_answers_are_split_joined_and_read_again_with_both_opinions():
    bundle, pixels = two_opinions(FLAGGED), scans(4).pixels
    parts = [respond(some, some, bundle, NAME, 0) for some in pixels.split(2)]
    whole = Responses.joined(parts)
    assert whole.robust[40] == [1] * 4 and whole.part([1, 3]).robust[40] == [1, 1]
    record = {**vars(whole), "robust": {str(t): values for t, values in whole.robust.items()}}
    record |= {name: {str(t): values for t, values in record[name].items()} for name in ("estimates", "ssim")}
    assert Responses.from_json(record) == whole
