import numpy as np
import pytest

from core.calibration import (
    BENIGN_FALSE_ALARMS,
    CALIBRATED_FALSE_ALARMS,
    Limits,
    choose_t,
    fit_ladder,
    fit_thresholds,
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
    assert choose_t(0.1, limits) < choose_t(5, limits) < choose_t(1e9, limits)
