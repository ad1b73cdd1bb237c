"""Thresholds drawn at random: near the percentile that is wanted, and hardly another for another scan."""

import math

import numpy as np
import pytest

from core.defence.conformal import Scale, ScoreGroup
from core.defence.private_quantile import FARTHEST, NEAREST, drawn_quantile, log_density, private_thresholds

GRID = 2 ** np.linspace(math.log2(NEAREST) + 1e-6, math.log2(FARTHEST) - 1e-6, 400)
VALUES = np.random.default_rng(0).lognormal(0.0, 0.5, 200)


@pytest.mark.parametrize("epsilon", [0.5, 3.0])
def test_another_scan_changes_no_chance_by_more_than_epsilon_allows(epsilon):
    """Wherever the scan lies that comes in the place of another; ties among the values too."""
    values = np.r_[VALUES[:20], VALUES[:5]]
    before = [log_density(at, values, 0.05, epsilon) for at in GRID]
    for other in (0.0, NEAREST, 0.9, float(values.max()), 2 * FARTHEST, -1.0):
        for place in (int(values.argmax()), int(values.argmin()), 7):
            moved = values.copy()
            moved[place] = other
            after = [log_density(at, moved, 0.05, epsilon) for at in GRID]
            assert np.abs(np.subtract(before, after)).max() <= epsilon + 1e-9


def test_the_density_is_that_of_what_is_drawn():
    random = np.random.default_rng(0)
    drawn = np.log2([drawn_quantile(VALUES[:30], 0.1, 2.0, random) for _ in range(4000)])
    edges = np.linspace(math.log2(NEAREST), math.log2(FARTHEST), 11)
    expected = np.zeros(10)
    for piece in range(10):
        inside = 2 ** np.linspace(edges[piece], edges[piece + 1], 801)[1:-1:2]
        heights = np.exp([log_density(at, VALUES[:30], 0.1, 2.0) for at in inside])
        expected[piece] = heights.mean() * (edges[1] - edges[0])
    assert expected.sum() == pytest.approx(1, abs=0.01)
    assert np.histogram(drawn, edges)[0] / 4000 == pytest.approx(expected, abs=0.03)


def test_much_epsilon_comes_to_the_percentile_and_little_to_anything():
    random = np.random.default_rng(0)
    sure = [np.mean(VALUES > drawn_quantile(VALUES, 0.1, 50.0, random)) for _ in range(50)]
    vague = [np.mean(VALUES > drawn_quantile(VALUES, 0.1, 1e-3, random)) for _ in range(50)]
    assert np.abs(np.array(sure) - 0.1).max() <= 0.015 and np.std(vague) > 0.1


def test_thresholds_are_in_the_scores_own_units_and_only_raised_where_that_is_asked():
    scale = {"a": Scale(1.0, 3.0), "b": Scale(0.0, 1000.0)}
    group = ScoreGroup(0.1, {"a": 0.5, "b": 0.5}, frozenset({"b"}))
    scores = {name: own.value(1.0) * VALUES for name, own in scale.items()}
    found = private_thresholds(scores, group, scale, 200.0, np.random.default_rng(0))
    assert np.mean(scores["a"] > found["a"]) == pytest.approx(0.05, abs=0.01) and found["b"] >= 1000.0
    with pytest.raises(ValueError, match="must be above 0, not 0"):
        private_thresholds(scores, group, scale, 0.0, np.random.default_rng(0))
