"""What thresholds from a few scans promise, tried on invented scores whose false-alarm rate is known exactly."""

import math

import numpy as np
import pytest
from scipy.stats import beta, norm

from core.defence.conformal import (
    CONFIDENCE,
    Scale,
    ScoreGroup,
    cut_count,
    cut_order,
    cut_thresholds,
    false_alarm_bound,
    fewest_scans,
)

ALPHA = 0.05
SHARES = {"low": 0.02, "some": 0.08, "most": 0.9}
GROUP = ScoreGroup(ALPHA, SHARES)
RAISED = ScoreGroup(ALPHA, SHARES, frozenset({"low", "some"}))
ONE = ScoreGroup(ALPHA, {"only": 1.0})
# As shipped at the 95th percentile of a standard normal: the invented site lies elsewhere.
SCALE = {name: Scale(0.0, 1.645) for name in (*SHARES, "only")}
PLACES = {"low": (0.0, 1.0), "some": (0.5, 1.5), "most": (20.0, 9.0)}
DRAWS, FRESH = 1000, 4000


def site_scores(random: np.random.Generator, count: int, tied: float = 0.5) -> dict[str, np.ndarray]:
    """Three scores that hang together, each moved and stretched in its own way; `tied` is their correlation."""
    common = random.standard_normal(count)
    drawn = {name: math.sqrt(tied) * common + math.sqrt(1 - tied) * random.standard_normal(count) for name in PLACES}
    return {name: place + width * drawn[name] for name, (place, width) in PLACES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("count", [19, 40, 60, 100, 400])
@pytest.mark.parametrize("tied", [0.0, 0.8])
def test_false_alarms_stay_within_alpha_on_average_and_within_the_bound_in_nine_draws_of_ten(count, tied):
    random = np.random.default_rng(0)
    fresh = site_scores(random, FRESH, tied)
    rates = []
    for _ in range(DRAWS):
        limits = cut_thresholds(site_scores(random, count, tied), GROUP, SCALE)
        rates.append(np.any([fresh[name] > limit for name, limit in limits.items()], axis=0).mean())
    spread = np.std(rates) / math.sqrt(DRAWS) + math.sqrt(ALPHA * (1 - ALPHA) / FRESH)
    assert np.mean(rates) <= ALPHA + 3 * spread
    # No more is given away than what rounding to whole scans takes.
    assert np.mean(rates) >= cut_count(count, ALPHA) / (count + 1) - 3 * spread
    within = np.mean(np.array(rates) <= false_alarm_bound(count, ALPHA))
    assert within == pytest.approx(CONFIDENCE, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("count", [19, 40, 60, 400])
@pytest.mark.parametrize("beyond", [0.5, 2.5])
def test_so_they_do_where_thresholds_may_only_rise(count, beyond):
    """`beyond`: how far out the scores lie that rise alone, 1.645 being shipped; both ends of the rule are reached."""
    random, shift = np.random.default_rng(0), {"low": beyond - 1, "some": beyond - 1.5, "most": 0.0}

    def drawn(size: int) -> dict[str, np.ndarray]:
        return {name: values + shift[name] for name, values in site_scores(random, size).items()}

    fresh, rates = drawn(FRESH), []
    for _ in range(DRAWS):
        limits = cut_thresholds(drawn(count), RAISED, SCALE)
        assert all(limits[name] >= SCALE[name].shipped for name in RAISED.only_raised)
        rates.append(np.any([fresh[name] > limit for name, limit in limits.items()], axis=0).mean())
    spread = np.std(rates) / math.sqrt(DRAWS) + math.sqrt(ALPHA * (1 - ALPHA) / FRESH)
    assert np.mean(rates) <= ALPHA + 3 * spread
    assert np.mean(np.array(rates) <= false_alarm_bound(count, ALPHA)) >= CONFIDENCE - 0.04


def test_a_cut_that_no_score_needs_is_the_main_score_s():
    scores = {"low": np.zeros(60), "some": np.zeros(60), "most": np.arange(60.0)}
    assert cut_thresholds(scores, RAISED, SCALE)["most"] == 57
    scores["some"][7] = 3.0
    limits = cut_thresholds(scores, RAISED, SCALE)
    assert limits["most"] == 58 and limits["some"] == 3


def test_one_score_gives_the_kth_smallest():
    scores = np.random.default_rng(0).permutation(60).astype(float)
    k = math.ceil(61 * (1 - ALPHA))
    assert cut_thresholds({"only": scores}, ONE, SCALE) == {"only": np.sort(scores)[k - 1]}


@pytest.mark.slow
def test_the_rate_of_one_score_is_distributed_as_beta():
    random, k = np.random.default_rng(0), math.ceil(61 * (1 - ALPHA))
    found = [cut_thresholds({"only": random.standard_normal(60)}, ONE, SCALE)["only"] for _ in range(DRAWS)]
    rates = norm.sf(found)
    law = beta(61 - k, k)
    for share in (0.1, 0.5, 0.9):
        assert np.mean(rates <= law.ppf(share)) == pytest.approx(share, abs=0.04)
    assert false_alarm_bound(60, ALPHA) == pytest.approx(law.ppf(CONFIDENCE))


def test_ties_flag_less_and_never_more():
    scores = {name: np.zeros(60) for name in SHARES}
    limits = cut_thresholds(scores, GROUP, SCALE)
    assert not any(np.any(scores[name] > limits[name]) for name in SHARES)


def test_below_the_least_number_there_is_no_threshold():
    assert fewest_scans(ALPHA) == 19 and fewest_scans(0.1) == 9
    assert cut_count(19, ALPHA) == 1 and cut_count(18, ALPHA) == 0
    with pytest.raises(ValueError, match="at least 19"):
        cut_thresholds({"only": np.zeros(18)}, ONE, SCALE)


def test_fewer_scans_give_a_wider_bound():
    bounds = [false_alarm_bound(count, ALPHA) for count in (19, 39, 59, 99, 999)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == pytest.approx(0.114, abs=0.001) and bounds[-1] < 0.06


@pytest.mark.parametrize("cuts", [1, 2, 3, 12, 30, 200])
def test_each_score_has_its_cut_and_the_order_hangs_on_their_number_alone(cuts):
    order = cut_order(cuts, SHARES)
    assert len(order) == cuts
    assert {name for names in order for name in names} == set(SHARES)
    if cuts >= 50:
        turns = {name: sum(name in names for names in order) for name in SHARES}
        assert all(abs(turns[name] - share * cuts) <= 1.5 for name, share in SHARES.items())


def test_a_threshold_that_only_rises_is_never_lowered():
    random = np.random.default_rng(0)
    scores = {name: random.normal(-5, 0.1, 60) for name in SHARES}
    limits = cut_thresholds(scores, RAISED, SCALE)
    assert limits["low"] == limits["some"] == SCALE["low"].shipped
    assert limits["most"] < 0
