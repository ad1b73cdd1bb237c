import numpy as np
import pytest

from core.statistics import auc, auc_interval, bootstrap_interval, tpr_at_false_alarms


def test_interval_holds_the_mean_and_widens_with_larger_groups():
    values = np.tile([1, 1, 1, 0], 50)
    apart = bootstrap_interval(values, [str(i) for i in range(200)])
    together = bootstrap_interval(np.sort(values), [str(i // 20) for i in range(200)])
    assert apart[0] < 0.75 < apart[1]
    assert together[1] - together[0] > apart[1] - apart[0]


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
