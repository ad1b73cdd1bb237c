"""What the Across tasks page says follows the figures, whatever these are."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.evaluation.operating_points import Condition, Roc, Share
from pages.across.charts import area_bar, paired_bars, share_bar
from pages.across.findings import alarms_told, answers_line, answers_told, detection_line, detection_told
from pages.across.record import conditions_of, short_names

PGD = Condition("pgd 8/255", "pgd", 8.0)
NAMES = {"north": "North", "south": "South"}


def share(value: float, spread: float = 0.1) -> Share:
    return Share(value, value - spread, value + spread, 50)


def curve(area: float) -> Roc:
    return Roc(np.zeros(2), np.ones(2), area, (area - 0.01, area + 0.01))


def task(name: str, alone: float, behind: float, cost: float = 0.0, alarms: float = 0.02, altered: float | None = 0.9):
    point = SimpleNamespace(
        undefended_clean=share(0.9), defended_clean=share(0.9 - cost),
        undefended_attacked=share(alone), defended_attacked=share(behind),
        false_alarms=share(alarms), altered_clean=None if altered is None else share(0.03),
    )  # fmt: skip
    attacked = SimpleNamespace(
        condition=PGD, point=point, altered=None if altered is None else curve(altered), misleading=curve(0.8)
    )
    return SimpleNamespace(name=name, title=f"{name.title()}: a or b", n=50, groups=40, attacks={PGD.name: attacked})


def test_a_task_counts_where_its_intervals_lie_apart() -> None:
    told = answers_told([task("north", 0.1, 0.8, cost=0.02), task("south", 0.5, 0.6)], PGD, NAMES)
    assert told == (
        "PGD, ε = 8/255: behind the defence more answers are right in **1 of 2 tasks**, with intervals that lie apart. "
        "With no attack it costs most in North: 2.0 points."
    )
    assert "costs no right answers" in answers_told([task("north", 0.5, 0.2, cost=-0.1)], PGD, NAMES)
    assert "**0 of 1 tasks**" in answers_told([task("north", 0.8, 0.1)], PGD, NAMES)


def test_a_line_gives_all_four_shares_their_count_and_the_interval() -> None:
    north = task("north", 0.12, 0.81)
    assert answers_line(north, north.attacks[PGD.name], NAMES) == (
        "**North**: attacked with PGD, ε = 8/255, right 12.0 % alone, **81.0 %** behind the defence (n = 50, 71.0 to "
        "91.0 %); with no attack 90.0 % alone, 90.0 % behind it."
    )


def test_the_worst_areas_are_named_and_a_question_that_is_not_asked_is_left_out() -> None:
    tasks = [task("north", 0.1, 0.8, altered=0.99), task("south", 0.1, 0.8, altered=0.7)]
    told = detection_told(tasks, PGD, NAMES)
    assert "smallest area under the curve: **altered** 0.700 (South), **misleading** 0.800" in told
    alone = task("north", 0.1, 0.8, altered=None)
    assert "**altered**" not in detection_told([alone], PGD, NAMES)
    assert "altered isn’t asked" in detection_line(alone, alone.attacks[PGD.name], NAMES)


def test_alarms_are_held_against_their_budget() -> None:
    told = alarms_told([task("north", 0.1, 0.8, alarms=0.02), task("south", 0.1, 0.8, alarms=0.07)], NAMES, 0.05)
    assert "flagged in **1 of 2 tasks** (most: 7.0 %, South)" in told
    assert "called altered in **2 of 2 tasks**" in told


def test_tasks_of_one_name_are_told_apart_and_no_file_writes_markdown() -> None:
    tasks = [task("north", 0.1, 0.8), task("south", 0.1, 0.8)]
    assert short_names(tasks) == NAMES
    tasks[1].title = "North"
    assert short_names(tasks) == {"north": "North (north)", "south": "North (south)"}
    assert "**[bad]" not in answers_line(tasks[0], tasks[0].attacks[PGD.name], {"north": "[bad](x)"})


def test_every_recorded_attack_is_offered_once_by_method_and_strength() -> None:
    north, south = task("north", 0.1, 0.8), task("south", 0.1, 0.8)
    for eps in (2, 16):
        name = f"pgd {eps}/255"
        south.attacks[name] = SimpleNamespace(condition=Condition(name, "pgd", eps))
    assert [condition.strength for condition in conditions_of([north, south])] == [2, 8, 16]


@pytest.mark.parametrize("missing", [False, True])
def test_a_chart_draws_what_there_is(missing: bool) -> None:
    bars = [share_bar(share(0.5)), share_bar(None if missing else share(0.7))]
    figure = paired_bars(["one", "two"], {"alone": bars, "behind": bars}, "%", 100, 5)
    assert [len(trace.x) for trace in figure.data] == [2 - missing] * 2
    assert "<b>50.0 %</b>" in [text.text for text in figure.layout.annotations]
    assert area_bar(None) is None and area_bar(curve(0.9)).text == "0.900"
