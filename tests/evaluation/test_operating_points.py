"""Prices, curves and masks, on calibrations small enough to be solved by hand."""

from dataclasses import replace

import numpy as np
import pytest

from core.bundles.calibration import Borderline, Calibration, Limits, Responses
from core.defence.fitting import folds
from core.evaluation.operating_points import (
    JOINT,
    hidden_pixels,
    joint_scores,
    operating_point,
    operating_points_by_site,
    recorded,
    roc,
    thresholds_at,
)
from tests.defended import defended_bundle

SECONDS = {"detect": 0.1, "purify": 0.5}


def responses(undefended, instability, estimates, scope=1.0):
    count = len(undefended)
    scores = {"mae_error": [0.0] * count, "amv": [1.0] * count, "instability": list(instability)}
    return Responses(
        list(undefended), [1.0] * count, scores, [scope] * count, {40: list(estimates)}, {40: [1.0] * count}, SECONDS
    )


def limits(threshold=1.0):
    return Limits({"mae_error": 1.0, "amv": 2.0, "instability": threshold}, 5.0, ((float("inf"), 40),))


@pytest.fixture
def calibration():
    """Four scans. Clean: all right, the last one flagged, and purification turns its label.

    Attacked: the first three are fooled; the second and third are flagged, and purification mends the second.
    """
    clean = responses([0, 0, 1, 1], [0.1, 0.2, 0.3, 2.0], [0, 0, 1, 0])
    attacked = responses([1, 1, 0, 1], [0.5, 3.0, 4.0, 0.4], [0, 0, 0, 1])
    conditions = {"clean": clean, "pgd 8/255": attacked}
    return Calibration(list("abcd"), list("abcd"), [0, 0, 1, 1], conditions)


def test_every_site_has_a_price_of_its_own(calibration):
    assert operating_points_by_site(calibration, "pgd 8/255", [limits()] * 4) == {}
    found = operating_points_by_site(replace(calibration, sites=list("XXYY")), "pgd 8/255", [limits()] * 4)
    assert [found[site].false_alarms.value for site in "XY"] == [0, 0.5]
    assert [found[site].misses.value for site in "XY"] == [0.5, 0]
    assert all(point.flagged.n == 2 for point in found.values())


def test_price_counts_wrong_answers_that_are_let_stand(calibration):
    """The second and third are flagged and were fooled; purification would mend the second, whose instability is 3."""

    def let_stand(instability):
        borderline = replace(limits(), borderline=Borderline(1.0, instability))
        cost = operating_point(calibration, "pgd 8/255", [borderline] * 4)
        return cost.let_stand, cost.turned_right

    assert let_stand(2.9) == (0, 1)
    assert let_stand(3.0) == let_stand(4.0) == (1, 0)


def test_price_by_hand(calibration):
    cost = operating_point(calibration, "pgd 8/255", [limits()] * 4)
    assert cost.false_alarms.value == 1 / 4
    assert cost.misses.value == 1 / 4
    assert cost.flagged.value == 2 / 4
    assert cost.defended_clean.value == 3 / 4
    assert cost.undefended_attacked.value == 1 / 4
    assert cost.defended_attacked.value == 2 / 4
    assert (cost.label_kept.value, cost.label_kept.hits, cost.label_kept.n) == (1 / 2, 1, 2)
    assert (cost.turned_wrong, cost.turned_right) == (0, 1)
    assert (cost.flagged.hits, cost.flagged.n) == (2, 4)
    assert cost.seconds == pytest.approx(0.1 + 0.5 / 4)
    assert cost.flagged.low < cost.flagged.value < cost.flagged.high


def test_what_purification_turns_by_hand(calibration):
    """All flagged. The first: right, and turned wrong; the second: wrong, mended; the third: wrong, and wrong again in
    another class; the last: right, but refused."""
    changed = responses([0, 1, 0, 1], [9.0] * 4, [1, 0, 2, 0])
    changed.scope[3] = 6.0
    calibration.conditions["pgd 8/255"] = changed
    cost = operating_point(calibration, "pgd 8/255", [limits()] * 4)
    assert (cost.flagged.hits, cost.label_kept.hits, cost.label_kept.n) == (4, 0, 3)
    assert (cost.turned_wrong, cost.turned_right) == (1, 1)


def test_nothing_flagged_has_no_kept_labels(calibration):
    cost = operating_point(calibration, "pgd 8/255", [limits(9)] * 4)
    assert cost.label_kept is None
    assert (cost.turned_wrong, cost.turned_right, cost.flagged.hits) == (0, 0, 0)
    assert cost.misses.value == 3 / 4
    assert cost.seconds == pytest.approx(0.1)


def test_refusal_is_wrong_and_keeps_no_label(calibration):
    calibration.conditions["pgd 8/255"] = responses([0, 0, 1, 1], [9.0] * 4, [0, 0, 1, 1], scope=6.0)
    cost = operating_point(calibration, "pgd 8/255", [limits()] * 4)
    assert (cost.defended_attacked.value, cost.undefended_attacked.value) == (0, 1)
    assert cost.label_kept is None


def test_unknown_names_are_sentences(calibration):
    with pytest.raises(ValueError, match="pgd 8/255"):
        operating_point(calibration, "pgd 9/255", [limits()] * 4)
    with pytest.raises(ValueError, match="instability"):
        roc(calibration, "pgd 8/255", "courage")
    with pytest.raises(ValueError, match="0 to 100"):
        thresholds_at(calibration, {"amv": 101}, [limits()] * 4)
    with pytest.raises(ValueError, match="score named"):
        thresholds_at(calibration, {"courage": 90}, [limits()] * 4)


def test_roc_by_hand(calibration):
    # Clean .1 .2 .3 2, attacked .5 3 4 .4: 14 of 16 pairs in order.
    curve = roc(calibration, "pgd 8/255", "instability")
    assert curve.auc == 14 / 16
    assert curve.interval[0] <= curve.auc <= curve.interval[1]
    points = set(zip(curve.false_alarms, curve.detected))
    assert {(0, 0), (0, 0.5), (0.25, 0.5), (0.25, 1), (1, 1)} <= points
    assert roc(calibration, "pgd 8/255", "mae_error").auc == 0.5


def test_joint_curve_passes_through_the_operating_point(calibration):
    own = [limits()] * 4
    assert joint_scores(calibration.conditions["clean"], own).tolist() == [0.5, 0.5, 0.5, 2.0]
    curve, cost = roc(calibration, "pgd 8/255", JOINT, own), operating_point(calibration, "pgd 8/255", own)
    assert (cost.false_alarms.value, cost.flagged.value) in zip(curve.false_alarms, curve.detected)
    with pytest.raises(ValueError, match="4, not 1"):
        joint_scores(calibration.conditions["clean"], [limits()])


def test_thresholds_come_from_the_other_folds():
    groups = [str(i) for i in range(10)]
    fold_of = folds(groups)
    # The two scans of one fold alone are extreme: only they don't count for themselves.
    instability = np.where(fold_of == 2, 100.0, 1.0)
    clean = responses([0] * 10, instability, [0] * 10)
    calibration = Calibration(groups, groups, [0] * 10, {"clean": clean})
    moved = thresholds_at(calibration, {"instability": 100}, [limits(7)] * 10)
    assert [own.thresholds["instability"] for own in moved] == [1.0 if fold == 2 else 100.0 for fold in fold_of]
    assert {own.thresholds["amv"] for own in moved} == {2.0}
    assert {(own.scope_limit, own.ladder) for own in moved} == {(5.0, limits().ladder)}
    assert [own.thresholds["instability"] for own in thresholds_at(calibration, {}, [limits(7)] * 10)] == [7] * 10


def test_conditions_are_read_in_order(calibration):
    whole = calibration.conditions["clean"]
    names = ("pgd 16/255", "pgd 0.5/255", "motion 2", "strange")
    calibration.conditions.update(dict.fromkeys(names, whole))
    calibration.conditions["fgsm 2/255"] = responses([0], [0.0], [0])  # not of all scans
    found = recorded(calibration)
    assert [entry.name for entry in found] == ["motion 2", "pgd 0.5/255", "pgd 8/255", "pgd 16/255", "strange"]
    assert [entry.benign for entry in found] == [True, False, False, False, False]
    assert [entry.strength for entry in found[:2]] == [2, 0.5]


@pytest.mark.slow
def test_every_pixel_is_hidden_once():
    bundle = defended_bundle()
    hidden = hidden_pixels(bundle)
    assert hidden.shape == (4, bundle.resolution, bundle.resolution)
    assert (hidden.sum(0) == 1).all()
    size = bundle.mae.patch
    assert (hidden[:, ::size, ::size].repeat(size, 1).repeat(size, 2) == hidden).all()
