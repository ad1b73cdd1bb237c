"""Examine: one scan, one decision, and the evidence it rests on."""

import streamlit as st

from pages.components import about, charts, decision, pictures, settings
from pages.components.engine import bundle, examination, wait_until_ready
from pages.components.pickers import samples, want
from pages.components.state import Visit, current_visit
from pages.components.tours import draw_tour
from pages.components.words import plain


def start(visit: Visit) -> None:
    """What to do where no scan has been chosen yet."""
    st.title("Examine a scan", anchor=False)
    st.markdown("Choose a sample, or upload a DICOM, NIfTI or picture file in the sidebar.")
    known = samples().items()
    ours = [(key, sample) for key, sample in known if sample.origin == "synthetic"]
    others = [(key, sample) for key, sample in known if sample.origin != "synthetic"]
    with st.grid(3):
        for key, sample in ours[:3] + others[:3]:
            with st.container(border=True, height="stretch"):
                st.markdown(f"**{sample.title}**")
                st.caption(sample.description)
                st.space("stretch")
                st.button("Examine", key=f"start-{key}", width="stretch", on_click=want, args=(key,))


def section(title: str, focus: str, current: str | None) -> None:
    """A heading; where the tour points at this part, it says so."""
    st.header(title, anchor=False)
    if focus == current:
        st.badge("The tour is here", icon=":material/tour:", color="blue")


visit = current_visit()
wait_until_ready()
if visit.problem:
    kept = " The scan that was open before stays open." if visit.scan else ""
    st.error(plain(visit.problem) + kept, icon=":material/error:")
if visit.scan is None:
    start(visit)
    st.stop()

focus = draw_tour(visit)
models, scan = bundle(visit.bundle), visit.scan
about.draw_title(scan)
halves = st.grid(2, min_column_width=400, gap="medium")
with halves.cell():
    picture = st.container()
    settings.draw_slice(visit, scan)
    with st.expander("Window, seed and classifier", icon=":material/tune:"):
        settings.draw_window(visit, scan)
        settings.draw_settings(visit, models)
with halves.cell():
    exam = examination(visit)
    before = visit.origin_examination
    decision.draw_decision(exam, models, before.undefended if before else None)
with picture:
    pictures.draw_scan(exam, scan)

if exam.detection:
    section("The evidence", "evidence", focus)
    charts.draw_scores(exam.detection, models, models.classifier_name(visit.classifier))
if before:
    section("What the attack changed", "attack", focus)
    pictures.draw_attack(before, exam, scan)
if not exam.refused:
    section("What purification changed", "purification", focus)
    if exam.purification:
        pictures.draw_purification(exam, scan)
    else:
        st.markdown("Nothing: the scan was not flagged, so the classifier was given it as it is.")
section("About this scan", "about", focus)
about.draw_about(scan, models)
