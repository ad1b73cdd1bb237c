"""The tests that catch masked gradients, on rows that were written by hand and on a defence that masks its own."""

import pytest

from core.attacks import AttackSettings
from core.evaluation.white_box.protocol import attack_and_read
from core.evaluation.white_box.readings import READINGS
from core.evaluation.white_box.sanity import FAR, MORE, OTHERS, MeasuredRow, strongest, verdicts
from tests.graded import Brightness, RoundedBrightness, graded_bundle, graded_scans

COUNT = 20
GROUPS = [str(place // 2) for place in range(COUNT)]


def row(right, *, beneath=".", method="pgd", eps=8, steps=40, eot=5, white_box=True, fixed=None):
    """A row of which the first `right` scans of 20 are answered rightly."""
    words = {name: beneath * right + "w" * (COUNT - right) for name in READINGS}
    if fixed is not None:
        words["fixed"] = "." * fixed + "w" * (COUNT - fixed)
    return MeasuredRow(AttackSettings(method, eps=eps, steps=steps, eot=eot, white_box=white_box), words)


def complete(right=4, *, few=5, transfer=15, query=8, far=0, **how):
    """A row and all that it is compared with."""
    return [
        row(right, **how),
        row(few, steps=10, eot=1),
        row(transfer, white_box=False, eot=1),
        row(query, method="square", steps=1000, eot=1),
        row(far, eps=64),
    ]


def test_a_row_that_passes_all_tests_is_green():
    first, few, transfer, query, far = verdicts(complete(), GROUPS)
    assert (first.state, few.state, far.state) == ("green", "green", "green")
    assert transfer is None and query is None


@pytest.mark.parametrize(
    "rows, fault",
    [
        (complete(12, few=4), MORE),
        (complete(12, few=13, transfer=3), OTHERS),
        (complete(12, few=13, query=3), OTHERS),
        (complete(far=8), FAR),
        (complete(4, few=13, query=3, fixed=12), OTHERS),
        ([*complete(12, few=13), row(3, method="bpda", white_box=False)], OTHERS),
    ],
)
def test_what_masks_its_gradients_is_withdrawn(rows, fault):
    verdict = verdicts(rows, GROUPS)[0]
    assert verdict.state == "withdrawn" and any(fault.lower() in each.lower() for each in verdict.faults)
    assert all(each.endswith(".") for each in verdict.faults)


def test_a_difference_within_the_interval_withdraws_nothing():
    assert verdicts(complete(6, few=5, query=5), GROUPS)[0].state == "green"


def test_a_refusal_at_the_largest_radius_is_no_answer_that_was_broken():
    rows = complete()
    refused = MeasuredRow(rows[4].attack, dict.fromkeys(READINGS, "r" * COUNT))
    assert verdicts([*rows[:4], refused], GROUPS)[0].state == "withdrawn"
    broken = MeasuredRow(rows[4].attack, dict.fromkeys(READINGS, "R" * COUNT))
    assert verdicts([*rows[:4], broken], GROUPS)[0].state == "green"


def test_a_row_without_others_to_compare_with_is_not_green():
    verdict = verdicts([row(4)], GROUPS)[0]
    assert verdict.state == "incomplete" and verdict.missing == (MORE, OTHERS, FAR)
    assert verdicts([row(4, eps=4), *complete()], GROUPS)[0].missing == (MORE, OTHERS)


@pytest.mark.parametrize("method", ["bpda", "low-frequency", "detector-aware", "orthogonal", "feature-hiding"])
def test_another_way_through_is_not_green_before_a_test_was_made_of_it(method):
    own = row(4, method=method)
    assert verdicts([*complete(), own], GROUPS)[-1].missing == (MORE,)
    few = row(5, method=method, steps=10, eot=1)
    assert [verdict.state for verdict in verdicts([*complete(), own, few], GROUPS)[-2:]] == ["green"] * 2


def test_each_scan_meets_the_worst_attack_for_it():
    first = MeasuredRow(AttackSettings("pgd", white_box=True), {"single": "..aw"})
    second = MeasuredRow(AttackSettings("square", white_box=True), {"single": ".o.a"})
    clean = MeasuredRow(AttackSettings(), {"single": "r..."})
    assert list(strongest([clean, first, second])) == [("linf", 8, 2, {"single": "roaw"})]


def measured(classifier):
    """The rows that the tests need, on a defence around this classifier."""
    data, bundle = graded_scans(4), graded_bundle(classifier)
    exact = AttackSettings("pgd", steps=4, white_box=True)
    attacks = (
        exact,
        AttackSettings("pgd", steps=1, white_box=True),
        AttackSettings("pgd", steps=4),
        AttackSettings("rays", steps=4, white_box=True),
        AttackSettings("pgd", eps=64, steps=4, white_box=True),
    )
    rows = []
    for attack in attacks:
        readings = attack_and_read(data, bundle, attack)["readings"]
        rows.append(MeasuredRow(attack, {name: reading["outcomes"] for name, reading in readings.items()}))
    return rows, data.groups


def test_an_honest_defence_is_green_and_one_that_rounds_its_input_is_not():
    rows, groups = measured(Brightness())
    assert set(rows[0].outcomes["single"]) == {"w"}
    assert verdicts(rows, groups)[0].state == "green"
    rows, groups = measured(RoundedBrightness())
    verdict = verdicts(rows, groups)[0]
    assert set(rows[0].outcomes["single"]) == {"."}  # what one would have boasted of
    assert verdict.state == "withdrawn"
    for test in (OTHERS, FAR):
        assert any(test.lower() in fault.lower() for fault in verdict.faults)
