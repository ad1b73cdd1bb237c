from dataclasses import replace

import numpy as np
import pytest

from core.bundles.calibration import Borderline, Limits, Responses
from core.defence.decision import decide_recorded
from core.defence.fitting import (
    BENIGN_FALSE_ALARMS,
    CALIBRATED_FALSE_ALARMS,
    STEADY,
    UNSURE,
    fit_borderline,
    fit_ladder,
    fit_thresholds,
    fitted_limits,
    folds,
    joint_false_alarms,
)


def scores(count=400):
    random = np.random.default_rng(0)
    return {name: random.random(count) for name in ("mae_error", "amv", "instability")}


def test_thresholds_spend_the_joint_budget_and_no_more():
    clean = scores()
    thresholds = fit_thresholds(clean)
    spent = joint_false_alarms(clean, thresholds)
    assert 0.6 * CALIBRATED_FALSE_ALARMS <= spent <= CALIBRATED_FALSE_ALARMS
    assert thresholds["mae_error"] > thresholds["amv"] > thresholds["instability"]


def test_thresholds_spare_benign_changes_too():
    clean, noisy = scores(), scores() | {"amv": scores()["amv"] + 5}
    thresholds = fit_thresholds(clean, [noisy])
    assert thresholds["amv"] > 5
    assert joint_false_alarms(noisy, thresholds) <= BENIGN_FALSE_ALARMS


def test_too_few_scans_are_a_sentence():
    with pytest.raises(ValueError, match="too few"):
        fit_thresholds({name: np.array([1.0, 2.0]) for name in ("mae_error", "amv", "instability")})


def test_folds_keep_groups_together_and_cover_everything():
    groups = [str(i // 3) for i in range(90)]
    assigned = folds(groups)
    assert set(assigned) == set(range(5))
    assert all(len(set(assigned[i : i + 3])) == 1 for i in range(0, 90, 3))
    assert (assigned == folds(groups)).all()


def test_ladder_is_split_halfway_between_the_medians():
    ladder = fit_ladder({2: np.array([1.0]), 4: np.array([4.0]), 8: np.array([16.0])})
    assert [border for border, _ in ladder] == pytest.approx([2, 8, np.inf])
    limits = Limits({}, 1.0, ladder)
    assert limits.t_star(0.1) < limits.t_star(5) < limits.t_star(1e9)


LIMITS = Limits({"amv": 1.0}, 1.0, ((float("inf"), 40),))


def turned(instability, certainty=0.9, amv=2.0):
    """Scans of class 0, flagged, which purification turns into class 1."""
    count = len(instability)
    scores = {"amv": [amv] * count, "instability": instability}
    by_t = {40: [1] * count}, {40: [0.9] * count}
    return Responses([0] * count, [certainty] * count, scores, [0.0] * count, *by_t, {})


def test_what_is_flagged_is_answered_on_its_estimate_unless_the_answer_is_borderline():
    limits = [replace(LIMITS, borderline=Borderline(0.8, 0.05))] * 3
    assert decide_recorded(turned([0.05, 0.06, float("nan")], 0.8), limits).answers.tolist() == [0, 1, 1]
    assert decide_recorded(turned([0.05] * 3, 0.81), limits).answers.tolist() == [1, 1, 1]
    assert decide_recorded(turned([0.05] * 3, float("nan")), limits).answers.tolist() == [1, 1, 1]
    assert decide_recorded(turned([0.05] * 3, 0.8), limits).flagged.all()
    assert decide_recorded(turned([0.05] * 3, 0.8), [LIMITS] * 3).answers.tolist() == [1, 1, 1]


def test_as_little_is_borderline_as_keeps_enough_labels():
    kept = replace(turned([0.5] * 97), estimates={40: [0] * 97})
    few = replace(turned([0.5] * 10), estimates={40: [0] * 10})

    def fitted(*benign, among=slice(None)):
        borderline = fit_borderline(benign, LIMITS, among)
        assert borderline.certainty == UNSURE
        return borderline.instability

    assert fitted(kept, turned([0.03] * 3)) == STEADY[0]  # 97 of 100 keep their labels anyhow
    assert fitted(kept, turned([0.03] * 4)) == 0.04
    assert fitted(kept, turned([0.03, 0.03, 0.03, 0.5])) == 0.04
    assert fitted(few, turned([0.5])) == STEADY[-1]
    assert fitted(few, turned([0.001], certainty=0.91)) == STEADY[-1]  # too sure to be borderline
    assert fitted(few, turned([0.5], amv=0.5)) == STEADY[0]  # not flagged
    assert fitted(turned([0.001, 0.03]), among=np.array([True, False])) == STEADY[0]  # another fold's has no say


@pytest.mark.slow
def test_the_bundle_has_the_limits_that_its_calibration_gives(bundle):
    for name, limits in bundle.limits.items():
        assert limits == fitted_limits(bundle.calibrations[name])
