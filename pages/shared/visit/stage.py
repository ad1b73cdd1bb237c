"""The stage of the view for a class: one large sentence, and below it the one picture that matters, as high as there is
room for. What else the page holds stands below."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.session import Session, current_session
from pages.shared.visit import Stage

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from streamlit.delta_generator import DeltaGenerator

LONG = 120  # letters, beyond which a sentence is set smaller
HEIGHT = 480  # until the browser has measured what is left


def lay_stage(session: Session, running: bool = False) -> None:
    """Make room for a sentence and a picture, in the view for a class; `running`: whether the page follows a job."""
    session.visit.stage = None
    if not session.visit.class_view:
        return
    if running:
        # One empty place more: what stood on the stage before must not stay, greyed, for as long as the job takes.
        said, bar, _ = st.empty(), st.empty(), st.empty()
        with st.container(key="stage-live", height=HEIGHT, border=False):
            session.visit.stage = Stage(said, st.empty(), bar)
    else:
        said, _ = st.container(), st.empty()
        session.visit.stage = Stage(said, st.container(key="stage", height=HEIGHT, border=False))


def on_stage() -> bool:
    """Whether what is drawn next would be drawn on a stage."""
    stage = current_session().visit.stage
    return stage is not None and not (stage.shown and stage.bar is None)


def say(sentence: str) -> bool:
    """Write a sentence on the stage; whether there is one that has said nothing yet."""
    stage = current_session().visit.stage
    if stage is None or (stage.told and stage.bar is None):
        return False
    stage.told += 1
    # A key of its own for each sentence: while something runs, one takes the place of the other in one run of the page.
    with stage.said.container(key=f"stage-{'long' if len(sentence) > LONG else 'short'}-{stage.told}"):
        st.markdown(sentence)
    return True


@contextmanager
def staged() -> Iterator[None]:
    """Draw on the stage where there is one with nothing on it, else where one is."""
    stage = current_session().visit.stage
    if stage is None or not on_stage():
        yield
        return
    stage.shown = True
    with stage.picture.container() if stage.bar else stage.picture:
        yield


def draw_chart(figure: go.Figure, height: int, **how: Any) -> None:
    """Draw a chart on the stage where there is room, else so many pixels high; `how` as `st.plotly_chart` takes it."""
    from pages.shared.charts import CONFIG, enlarged

    if on_stage():
        with staged():
            st.plotly_chart(enlarged(figure), height="stretch", config=CONFIG, **how)
    else:
        st.plotly_chart(figure, height=height, config=CONFIG, **how)


def progress_place() -> DeltaGenerator:
    """Where to show how far something is."""
    stage = current_session().visit.stage
    return stage.bar if stage and stage.bar else st.empty()
