import numpy as np
import pytest

from core.statistics import auc, auc_interval, bootstrap_interval, calibration_error, tpr_at_false_alarms


def test_interval_holds_the_mean_and_widens_with_larger_groups():
    values = np.tile([1, 1, 1, 0], 50)
    apart = bootstrap_interval(values, [str(i) for i in range(200)])
    together = bootstrap_interval(np.sort(values), [str(i // 20) for i in range(200)])
    assert apart[0] < 0.75 < apart[1]
    assert together[1] - together[0] > apart[1] - apart[0]


def test_intervals_leave_out_a_fortieth_on_either_side():
    """The mean of 400 coins is normal; the AUC against equal clean scores is the share of attacked ones above them."""
    coins, groups = np.tile([1.0, 0.0], 200), [str(i) for i in range(400)]
    reach = 1.96 * np.sqrt(0.25 / 400)
    for low, high in (bootstrap_interval(coins, groups), auc_interval(np.full(400, 0.5), coins, groups)):
        assert (low, high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=0.003)  # 0.008 nearer for 90 %


def test_auc_of_small_sets_by_hand():
    assert auc(np.array([0, 1]), np.array([2, 3])) == 1
    assert auc(np.array([0, 2]), np.array([1, 3])) == pytest.approx(0.75)
    assert auc(np.array([0.0]), np.array([])) is None


def test_tpr_counts_what_lies_above_the_quantile():
    clean = np.arange(100.0)
    assert tpr_at_false_alarms(clean, np.array([94.0, 96.0, 99.0, 200.0])) == 0.75


def test_auc_interval_surrounds_the_auc():
    random = np.random.default_rng(0)
    clean, attacked = random.normal(0, 1, 120), random.normal(1, 1, 120)
    low, high = auc_interval(clean, attacked, [str(i // 2) for i in range(120)])
    assert low < auc(clean, attacked) < high < low + 0.2
    assert auc_interval(np.zeros(10), np.ones(10), [str(i) for i in range(10)]) == (1, 1)


def test_an_auc_over_other_images_resamples_their_groups_too():
    random = np.random.default_rng(0)
    clean, attacked = random.normal(0, 1, 40), random.normal(1, 1, 40)
    groups = np.arange(40) // 2
    paired = auc_interval(clean, attacked, groups)
    assert auc_interval(clean, attacked[::-1], groups, attacked_groups=groups[::-1]) == paired
    low, high = auc_interval(clean, attacked[:10], groups, attacked_groups=100 + groups[:10])
    assert low < auc(clean, attacked[:10]) < high


def test_the_calibration_error_by_hand():
    """Two scans nine tenths sure and one of them right: off by .4. The other two are as sure as they are right."""
    confidence, hits = np.array([0.9, 0.9, 0.5, 0.5]), np.array([1, 0, 1, 0])
    error, (low, high) = calibration_error(confidence, hits, ["a", "b", "c", "d"])
    assert error == pytest.approx(0.2)
    assert low <= error <= high
