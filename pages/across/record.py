"""The recorded tasks as the page reads them: made once until a file changes, those with a defence first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition
    from core.report.across import Task


def open_tasks() -> tuple[list[Task], list[str]]:
    """The tasks of all bundles here, and a sentence for each whose record can't be read."""
    from core import BundleError, bundle_names

    tasks, problems = [], []
    for name in bundle_names():
        try:
            tasks.append(_task(name, _changed(name)))
        except BundleError as error:
            problems.append(str(error))
    return sorted(tasks, key=lambda task: (task.lacks is not None, task.name)), problems


def _changed(name: str) -> tuple[tuple[str, int, int], ...]:
    """Which files a bundle's record is in, when each was written, and its size: a changed one is read anew."""
    from core.bundles.loading import folder_of

    found = [(str(path), path.stat()) for path in sorted(folder_of(name).glob("*.json"))]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in found)


@st.cache_resource(show_spinner=False, max_entries=32)
def _task(name: str, changed: tuple[tuple[str, int, int], ...]) -> Task:
    from core.report.across import recorded_task

    return recorded_task(name)


def conditions_of(tasks: Sequence[Task]) -> tuple[Condition, ...]:
    """The attacks that are recorded of any task, by method and strength."""
    known = {name: attacked.condition for task in tasks for name, attacked in task.attacks.items()}
    return tuple(sorted(known.values(), key=lambda condition: (condition.method, condition.strength)))


def short_names(tasks: Sequence[Task]) -> dict[str, str]:
    """Bundle → what its task is called in a chart: its title up to the colon, where no other is called so."""
    short = {task.name: task.title.partition(":")[0] for task in tasks}
    names = list(short.values())
    return {name: title if names.count(title) == 1 else f"{title} ({name})" for name, title in short.items()}
