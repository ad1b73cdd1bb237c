"""Encrypt: ask a server that never sees the scan, compare its answer, and see why one would."""

from __future__ import annotations

import streamlit as st

from pages.encrypt import cohort, controls, stages, why
from pages.encrypt.controls import chosen_preset, chosen_server
from pages.encrypt.state import ASK, EncryptState, current_state
from pages.shared import job_status
from pages.shared.empty_states import draw_problem, draw_switch
from pages.shared.examinations import examination
from pages.shared.jobs import watch
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.visit.sections import pick_section
from pages.shared.visit.stage import lay_stage, progress_place
from pages.shared.words import plain

ONE, COHORT, WHY = "Ask", "Cohort", "Why bother"
SECTIONS = (ONE, COHORT, WHY)
STAGE_COUNT = 4
NONE_HERE = "This bundle holds no vision transformer, whose token is what is encrypted here; choose another bundle."
IDLE_TO_CLASS = "Can a server answer about a scan that it can’t read? **Space** asks it."
IDLE = "Press **Encrypt and ask**: the server answers on numbers that it can’t read."


def draw_ask(session: Session, state: EncryptState) -> None:
    """Settings and button; client, server and client; what it took."""
    asking = state.running and state.doing == ASK
    grid = st.grid(3, min_column_width=270, gap="medium")
    with grid.cell():
        controls.draw_controls(session, state, asking)
        how = {"icon": ":material/lock:", "type": "primary", "key": "encrypt", "shortcut": "Alt+E", "disabled": asking}
        if st.button("Encrypt and ask", **how):
            ask(session, state)
    with grid.cell(column_span=2):
        if asking:
            st.button("Stop", icon=":material/stop:", on_click=state.stop, key="encrypt-stop", shortcut="Esc")
            bar = progress_place()
            watch(state.job, lambda: bar.progress(len(state.steps) / STAGE_COUNT, "Client, server, client …"))
            st.rerun()
        if state.doing == ASK and state.job:
            job_status.draw_job_status(state, doing=ASK)
        if state.answer:
            stages.draw_answer(state, state.answer)
        elif not state.steps:
            stages.draw_scan_to_class(state, IDLE_TO_CLASS)
            st.markdown(IDLE)
    stages.draw_stages(state)
    st.header("What precision and depth cost", anchor=False)
    controls.draw_prices(state)


def ask(session: Session, state: EncryptState) -> None:
    """Begin; an address that is none is said where it was typed."""
    try:
        server = chosen_server(session)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        state.ask(session.head, chosen_preset(session, state), server)
        st.rerun()


def chosen_classifier(session: Session) -> str | None:
    """A classifier with a class token; None, with a sentence, where the bundle has none."""
    from core.federation.tokens import token_classifiers

    models = bundle(session.bundle)
    names = token_classifiers(models)
    if names:
        return names[0]
    st.info(NONE_HERE, icon=":material/info:")
    draw_switch(models)
    return None


def draw_sections(session: Session, classifier: str, section: str) -> None:
    """What was asked for; what is recorded needs no scan of the visitor's."""
    from core.evaluation.encrypted import read_encryption

    known = session.state_of(EncryptState)
    lay_stage(session, running=known is not None and known.running)
    record = None if section == ONE else read_encryption(bundle(session.bundle), classifier)
    if section == COHORT:
        cohort.draw_recorded(record)
    if session.scan is None:
        st.info("Choose a sample or upload a scan in the sidebar, to ask about it.", icon=":material/info:")
        return
    before = examination(session)
    if before.undefended is None:
        st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
        return
    state = current_state(session, classifier)
    controls.take_asked(session, state)
    if section == COHORT:
        cohort.draw_live(session, state)
    elif section == WHY:
        why.draw_why(state, record)
    else:
        draw_ask(session, state)
    controls.note_choices(session)


session = current_session()
wait_until_ready()
draw_problem(session)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Ask without showing", anchor=False, width="content")
    section = pick_section("encrypt", SECTIONS)
classifier = chosen_classifier(session)
if classifier:
    draw_sections(session, classifier, section)
