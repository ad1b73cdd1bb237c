"""Encrypt: ask a server that never sees the scan, compare its answer, and see why one would."""

from __future__ import annotations

import streamlit as st

from pages.encrypt import cohort as encrypt_cohort
from pages.encrypt import controls as encrypt_controls
from pages.encrypt import stages as encrypt_stages
from pages.encrypt import why as encrypt_why
from pages.encrypt.controls import chosen_preset, chosen_server
from pages.encrypt.state import ASK, EncryptBench, current_bench
from pages.shared import job_status as ending
from pages.shared.examinations import examination
from pages.shared.jobs import watch
from pages.shared.missing_models import draw_switch
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.start import draw_problem
from pages.shared.words import plain

ONE, COHORT, WHY = "Ask", "Cohort", "Why bother"
SECTIONS = (ONE, COHORT, WHY)
STAGE_COUNT = 4
NONE_HERE = "This bundle holds no vision transformer, whose token is what is encrypted here; choose another bundle."
IDLE = "Press **Encrypt and ask**: the server answers on numbers that it can’t read."


def draw_ask(session: Session, bench: EncryptBench) -> None:
    """Settings and button; client, server and client; what it took."""
    asking = bench.running and bench.doing == ASK
    grid = st.grid(3, min_column_width=270, gap="medium")
    with grid.cell():
        encrypt_controls.draw_controls(session, bench, asking)
        how = {"icon": ":material/lock:", "type": "primary", "key": "encrypt", "shortcut": "E", "disabled": asking}
        if st.button("Encrypt and ask", **how):
            ask(session, bench)
    with grid.cell(column_span=2):
        if asking:
            st.button("Stop", icon=":material/stop:", on_click=bench.stop, key="encrypt-stop", shortcut="Esc")
            bar = st.empty()
            watch(bench.run, lambda: bar.progress(len(bench.steps) / STAGE_COUNT, "Client, server, client …"))
            st.rerun()
        if bench.doing == ASK and bench.run:
            ending.draw_ending(bench.run)
        if bench.answer:
            encrypt_stages.draw_answer(bench, bench.answer)
        elif not bench.steps:
            st.markdown(IDLE)
    encrypt_stages.draw_stages(bench)
    if bench.answer:
        st.header("What it took", anchor=False)
        encrypt_stages.draw_times(bench)
    st.header("What precision and depth cost", anchor=False)
    encrypt_controls.draw_prices()


def ask(session: Session, bench: EncryptBench) -> None:
    """Begin; an address that is none is said where it was typed."""
    try:
        server = chosen_server(session)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        bench.ask(session.head, chosen_preset(session, bench), server)
        st.rerun()


def chosen_classifier(session: Session) -> str | None:
    """A classifier with a class token; None, with a sentence, where the bundle has none."""
    from core.evaluation.encrypted import token_classifiers

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

    record = None if section == ONE else read_encryption(bundle(session.bundle), classifier)
    if section == COHORT:
        encrypt_cohort.draw_recorded(record)
    if session.scan is None:
        st.info("Choose a sample or upload a scan in the sidebar, to ask about it.", icon=":material/info:")
        return
    before = examination(session)
    if before.undefended is None:
        st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
        return
    bench = current_bench(session, classifier)
    if section == COHORT:
        encrypt_cohort.draw_live(session, bench)
    elif section == WHY:
        encrypt_why.draw_why(bench, record)
    else:
        draw_ask(session, bench)


session = current_session()
wait_until_ready()
draw_problem(session)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Ask without showing", anchor=False, width="content")
    how = {"label_visibility": "collapsed", "persist_state": "session"}
    section = st.segmented_control("Section", SECTIONS, default=ONE, required=True, key="encrypt-section", **how)
classifier = chosen_classifier(session)
if classifier:
    draw_sections(session, classifier, section or ONE)
