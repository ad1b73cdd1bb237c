"""Across tasks: whether the defence carries over to other kinds of scans, from what each bundle has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.across import tables
from pages.across.record import conditions_of, open_tasks, short_names
from pages.across.sections import draw_alarms, draw_answers, draw_detection
from pages.shared.empty_states import draw_problem
from pages.shared.records.figures import condition_title, pick_condition
from pages.shared.runtime import wait_until_ready
from pages.shared.session import current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.places import ACROSS
from pages.shared.visit.sections import pick_section
from pages.shared.visit.stage import lay_stage
from pages.shared.words import plain

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition
    from core.report.across import Task

ANSWERS, DETECTION, ALARMS = "Right answers", "Detection", "False alarms"
FIRST_ATTACK = "pgd 8/255"


def draw_attacked(tasks: Sequence[Task], names: dict[str, str], condition: Condition, section: str) -> None:
    """One attack on all tasks that it is recorded of; the others are named."""
    known = [task for task in tasks if condition.name in task.attacks]
    (draw_answers if section == ANSWERS else draw_detection)(known, condition, names)
    if others := [plain(names[task.name]) for task in tasks if task not in known]:
        st.info(f"{condition_title(condition)} is not recorded of {', '.join(others)}.", icon=":material/info:")


session = current_session()
wait_until_ready()
draw_problem(session)
draw_tour(session, ACROSS)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Does the defence carry over?", anchor=False, width="content")
    section = pick_section("across", (ANSWERS, DETECTION, ALARMS))
lay_stage(session)
tasks, problems = open_tasks()
names = short_names(tasks)
defended = [task for task in tasks if task.attacks]
for problem in problems:
    st.warning(plain(problem), icon=":material/warning:")
if not defended:
    st.info("No bundle here has a recorded defence yet.", icon=":material/info:")
elif section == ALARMS:
    draw_alarms(defended, names)
elif condition := pick_condition("Attack", conditions_of(defended), "across-attack", FIRST_ATTACK):
    draw_attacked(defended, names, condition, section)
if defended:
    tables.draw_tables(defended, names, tables.ANSWERS if section == ANSWERS else tables.DETECTION)
    tables.draw_sources(defended, names)
tables.draw_without([task for task in tasks if not task.attacks], names)
