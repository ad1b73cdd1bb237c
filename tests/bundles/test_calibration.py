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
    at_sites,
    cross_fitted_limits,
    fit_borderline,
    fit_ladder,
    fit_thresholds,
    fitted_limits,
    folds,
    joint_false_alarms,
)
from tests.defended import invented_calibration


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


def test_every_site_has_groups_in_as_many_folds_as_it_can():
    groups = [f"{site}{i // 2}" for site in "ABC" for i in range(10)]
    assigned = folds(groups, [group[0] for group in groups])
    assert all(set(assigned[10 * site : 10 * site + 10]) == set(range(5)) for site in range(3))
    assert (assigned[::2] == assigned[1::2]).all()


def test_thresholds_keep_the_false_alarms_at_every_site():
    near, far = scores(), {name: values + 0.5 for name, values in scores(100).items()}
    clean = {name: np.r_[near[name], far[name]] for name in near}
    pooled = fit_thresholds(clean)
    assert joint_false_alarms(far, pooled) > CALIBRATED_FALSE_ALARMS >= joint_false_alarms(clean, pooled)
    sites = at_sites(clean, np.array(["near"] * 400 + ["far"] * 100))
    by_site = fit_thresholds(clean, sites=sites)
    assert [len(own["amv"]) for own in sites] == [100, 400]
    assert all(joint_false_alarms(own, by_site) <= CALIBRATED_FALSE_ALARMS for own in (near, far))


def test_a_site_of_few_scans_has_no_say_of_its_own():
    assert at_sites(scores(30), np.array(["A"] * 20 + ["B"] * 10))[0]["amv"].tolist() == scores(30)["amv"][:20].tolist()
    assert len(at_sites(scores(30), np.array(["A"] * 20 + ["B"] * 10))) == 1


def test_a_record_without_sites_is_fitted_as_before():
    one = invented_calibration()
    named = replace(one, sites=["here"] * len(one.labels))
    assert fitted_limits(named) == fitted_limits(one) and cross_fitted_limits(named) == cross_fitted_limits(one)


def test_a_part_of_a_record_is_the_record_of_these_scans():
    whole = replace(invented_calibration(), sites=["A", "B"] * 40)
    part = whole.part(whole.places["B"])
    assert part.labels == whole.labels[1::2] and set(part.sites) == {"B"} and not part.places
    assert part.conditions["clean"].estimates[40] == whole.conditions["clean"].estimates[40][1::2]
    assert part.clean["amv"] == whole.clean["amv"][1::2] and len(part.conditions) == len(whole.conditions)


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
