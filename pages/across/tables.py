"""All figures of the Across tasks page, and the commands that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.across.findings import point_of
from pages.shared.records import draw_command
from pages.shared.records.figures import area_text, condition_title, full_text
from pages.shared.words import SPLITS, plain

if TYPE_CHECKING:
    from core.evaluation.operating_points import Share
    from core.report.across import Task

Names = Mapping[str, str]
NOT_ASKED, NO_ATTACK = "not asked", "none"
ALONE, BEHIND = "Right, alone", "Right, behind the defence"
FLAGGED, ALTERED, AREA_ALTERED, AREA_MISLEADING = "Flagged", "Called altered", "Area, altered", "Area, misleading"
ANSWERS, DETECTION = (ALONE, BEHIND), (FLAGGED, ALTERED, AREA_ALTERED, AREA_MISLEADING)


def draw_tables(tasks: Sequence[Task], names: Names, columns: Sequence[str]) -> None:
    """What each task is, and every recorded attack on it; `columns`: `ANSWERS` or `DETECTION`, as both are too wide."""
    st.subheader("The tasks", anchor=False)
    st.table([_task_row(task, names) for task in tasks], hide_index=True)
    with st.expander("All figures, attack by attack", icon=":material/table:"):
        for task in tasks:
            st.markdown(f"**{plain(names[task.name])}**")
            st.table([_chosen(row, columns) for row in _figure_rows(task)], hide_index=True)


def _chosen(row: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    return {name: row[name] for name in ("Attack", *columns)}


def _task_row(task: Task, names: Names) -> dict[str, str]:
    return {
        "Task": plain(names[task.name]),
        "Scans": plain(", ".join(task.modalities)) or "colour pictures",
        "Classes": str(task.classes),
        "Pixels": f"{task.pixels} × {task.pixels}",
        "Calibration scans": f"{task.n} in {task.groups} groups",
        "Classifier": plain(task.classifier),
    }


def _figure_rows(task: Task) -> list[dict[str, str]]:
    """No attack first, then every recorded one."""
    point = point_of(task)
    rows = [_figures(NO_ATTACK, point.undefended_clean, point.defended_clean, point.false_alarms, point.altered_clean)]
    for attacked in task.attacks.values():
        point = attacked.point
        shares = point.undefended_attacked, point.defended_attacked, point.flagged, point.altered
        areas = {
            AREA_ALTERED: area_text(attacked.altered) if attacked.altered else NOT_ASKED,
            AREA_MISLEADING: area_text(attacked.misleading),
        }
        rows.append(_figures(condition_title(attacked.condition), *shares) | areas)
    return rows


def _figures(attack: str, alone: Share, behind: Share, flagged: Share, altered: Share | None) -> dict[str, str]:
    return {
        "Attack": attack,
        ALONE: full_text(alone),
        BEHIND: full_text(behind),
        FLAGGED: full_text(flagged),
        ALTERED: full_text(altered) if altered else NOT_ASKED,
        AREA_ALTERED: "",
        AREA_MISLEADING: "",
    }


def draw_sources(tasks: Sequence[Task], names: Names) -> None:
    """What all figures have in common, and of each task the commands behind them."""
    from core.statistics import RESAMPLES

    st.caption(
        "The attackers know the classifier and not the defence. Each scan is judged with thresholds that its fold (one "
        f"of five) had no part in. Intervals: 95 %, {RESAMPLES} bootstrap resamples of whole near-duplicate groups. "
        "Tasks differ in classes, pixels, scans and classifiers, and the same ε is another attack on each: compare a "
        "task with itself, alone and behind the defence, before you compare one with another. An interval of no width "
        "means that all scans agree, not that the figure is certain."
    )
    for task in tasks:
        name, split = plain(names[task.name]), SPLITS.get(task.split, task.split)
        st.caption(f"{name}: n = {task.n} scans of the {plain(split)} split, classifier {plain(task.classifier)}.")
        commands = dict.fromkeys(attacked.command for attacked in task.attacks.values())
        draw_command("\n".join(commands), f"the figures of {name}")


def draw_without(tasks: Sequence[Task], names: Names) -> None:
    """The tasks that have no defence, each with the reason."""
    if tasks:
        st.subheader("Without a defence", anchor=False)
        st.markdown("\n".join(f"- **{plain(names[task.name])}**: {plain(task.lacks or '')}" for task in tasks))
