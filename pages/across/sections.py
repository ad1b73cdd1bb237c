"""The sections of the Across tasks page: a sentence, a picture, and a line for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.across import charts, findings
from pages.shared.records import draw_finding
from pages.shared.records.figures import condition_title
from pages.shared.visit.stage import draw_chart
from pages.shared.words import hover, unbroken

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition
    from core.report.across import Task

Names = Mapping[str, str]
ALTERED, MISLEADING = "altered: was anything added?", "misleading: does the answer hang on it?"


def draw_answers(tasks: Sequence[Task], condition: Condition, names: Names) -> None:
    """Right answers, attacked and not, alone and behind the defence."""
    draw_finding(findings.answers_told(tasks, condition, names))
    rows, alone, behind = [], [], []
    for task in tasks:
        point, name = task.attacks[condition.name].point, hover(names[task.name])
        rows += [f"{name}<br>no attack", f"{name}<br>attacked"]
        alone += [charts.share_bar(share) for share in (point.undefended_clean, point.undefended_attacked)]
        behind += [charts.share_bar(share) for share in (point.defended_clean, point.defended_attacked)]
    lines = [findings.answers_line(task, task.attacks[condition.name], names) for task in tasks]
    _draw(rows, {"alone": alone, "behind the defence": behind}, "right answers (%)", 100, lines)


def draw_detection(tasks: Sequence[Task], condition: Condition, names: Names) -> None:
    """How well attacked scans are told from unattacked ones, by both questions."""
    draw_finding(findings.detection_told(tasks, condition, names))
    found = [task.attacks[condition.name] for task in tasks]
    series = {
        ALTERED: [charts.area_bar(attacked.altered) for attacked in found],
        MISLEADING: [charts.area_bar(attacked.misleading) for attacked in found],
    }
    lines = [findings.detection_line(task, task.attacks[condition.name], names) for task in tasks]
    axis = f"area under the ROC curve, {condition_title(condition)}; dotted: guessing"
    _draw([hover(names[task.name]) for task in tasks], series, axis, 1, lines, 0.5)


def draw_alarms(tasks: Sequence[Task], names: Names) -> None:
    """How many unattacked scans are flagged, and called altered."""
    from core.defence.fitting import FALSE_ALARM_BUDGET

    draw_finding(findings.alarms_told(tasks, names, FALSE_ALARM_BUDGET))
    points = [findings.point_of(task) for task in tasks]
    series = {
        "called altered": [charts.share_bar(point.altered_clean) for point in points],
        "flagged as misleading": [charts.share_bar(point.false_alarms) for point in points],
    }
    drawn = [bar for bars in series.values() for bar in bars if bar]
    most = max([2 * 100 * FALSE_ALARM_BUDGET, *(bar.high for bar in drawn)])
    lines = [findings.alarms_line(task, names) for task in tasks]
    axis = "unattacked scans (%); dotted: the budget of each question"
    _draw([hover(names[task.name]) for task in tasks], series, axis, most, lines, 100 * FALSE_ALARM_BUDGET)


def _draw(
    rows: Sequence[str],
    series: Mapping[str, Sequence[charts.Bar | None]],
    axis: str,
    most: float,
    lines: Sequence[str],
    line: float | None = None,
) -> None:
    told = [
        f"{row.replace('<br>', ', ')}, {title}: {bar.text}"
        for title, bars in series.items()
        for row, bar in zip(rows, bars)
        if bar
    ]
    figure = charts.paired_bars(rows, series, axis, most, line)
    draw_chart(figure, charts.height_of(len(rows)), key="across", alt=f"{axis}. {'; '.join(told)}")
    st.markdown(unbroken("\n".join(f"- {sentence}" for sentence in lines)))
