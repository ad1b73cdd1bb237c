"""What thresholds tell of membership, on scores that are made up."""

import numpy as np
import pytest

from core.defence.conformal import Scale, ScoreGroup
from training.measure.membership import MAIN, Detector, row, worst_scan

DETECTOR = Detector(
    {"altered": ScoreGroup(0.05, {"amv": 1.0}), "flagged": ScoreGroup(0.05, {MAIN: 1.0})},
    {"amv": Scale(0.0, 3.0), MAIN: Scale(0.0, 3.0)},
)
CLEAN = {name: np.random.default_rng(place).exponential(1.0, 120) for place, name in enumerate(DETECTOR.scale)}
ATTACKED = {name: values + 5.0 for name, values in CLEAN.items()}


def rows(epsilon):
    return row(DETECTOR, CLEAN, ATTACKED, 40, epsilon, 60, np.random.default_rng(0))


def test_a_percentile_gives_the_scan_away_that_set_it_and_noise_ends_that():
    exact, private = rows(None), rows(1.0)
    assert exact["worst"]["auc"] == 1.0 and private["worst"]["auc"] < 0.75
    assert 0 < exact["told"]["value"] < 0.2 and private["told"]["value"] == 0
    assert exact["told_wrongly"]["value"] == private["told_wrongly"]["value"] == 0
    assert exact["false_alarms"]["value"] == pytest.approx(0.1, abs=0.03)
    assert exact["purified_attacked"]["value"] > private["purified_attacked"]["value"] > 0.3


def test_an_attacker_who_weighs_likelihoods_finds_the_likelier_case():
    random, members = np.random.default_rng(0), np.arange(40)
    found = np.array([worst_scan(DETECTOR, CLEAN, members, other, 100.0, random) for other in range(40, 100)])
    assert found[:, 0].mean() > 0.1 and found[:, 1].mean() < -0.1
