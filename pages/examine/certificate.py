"""A certificate on request: below which size no change turns the answer, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.examine.certificate_words import WHAT, basis, counted, differs, limits, promise
from pages.shared.examinations import answer_of
from pages.shared.job_status import Progress, draw_job_status, draw_progress, draw_stop
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core import Bundle, Examination
    from core.defence.certificate import Certificate
    from pages.shared.session import Session

CHECK_SECONDS = 0.5
STRENGTHS = ("Light", "Medium", "Strong")


@dataclass(kw_only=True)
class CertificateState(PageState):
    """The certificate of one examination; made: how far it has come, None before the first draws."""

    made: Certificate | None = None

    def take(self, made: Certificate) -> None:
        """Note how far it has come."""
        self.made = made


def draw_certificate(session: Session, exam: Examination) -> None:
    """What a certificate is, how to ask for one, and what it says; nothing where there is no answer to certify."""
    from core.defence.certificate import check_certifying

    if exam.prediction is None:
        return
    models, state = bundle(exam.bundle), session.current(CertificateState, session.choices())
    running = state is not None and state.running
    with st.container(key="part-certificate"):
        st.header("A certificate", anchor=False)
        try:
            check_certifying(models)
        except ValueError as error:
            st.markdown(plain(str(error)))
            return
        st.markdown(WHAT)

        # By itself, so that the rest of the page stays at hand meanwhile.
        def draw() -> None:
            if running and state and not state.running:
                st.rerun()
            _draw_request(session, state, exam, models)
            if state:
                _draw_outcome(state, exam)

        st.fragment(draw, run_every=CHECK_SECONDS if running else None)()


def _draw_request(session: Session, state: CertificateState | None, exam: Examination, models: Bundle) -> None:
    """How much noise, how many draws, and the button; or how to stop what runs."""
    from core.defence.certificate import DRAWS, QUICK_DRAWS, SIGMA, SIGMAS

    running = state is not None and state.running
    names = dict(zip(SIGMAS, STRENGTHS))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sigma = st.segmented_control(
            "Noise", SIGMAS, default=SIGMA, required=True, format_func=lambda value: f"{names[value]}, σ {value:g}",
            key="certify-sigma", disabled=running, persist_state="session",
            help="σ in units of black to white. More noise reaches farther, but washes out what is small.",
        )  # fmt: skip
        draws = st.segmented_control(
            "Draws", (QUICK_DRAWS, DRAWS), default=DRAWS, required=True, format_func=lambda value: f"{value:,}",
            key="certify-draws", disabled=running, persist_state="session", help="More draws reach farther.",
        )  # fmt: skip
        if state and running:
            draw_stop(state, "certify-stop")
        elif st.button("Certify", icon=":material/verified_user:", type="primary", key="certify"):
            _begin(session, exam, models, sigma, draws)
            st.rerun()


def _begin(session: Session, exam: Examination, models: Bundle, sigma: float, draws: int) -> None:
    from core.defence.certificate import SELECTION, certify

    steps = certify(
        exam.pixels, models, classifier=answer_of(exam).classifier, sigma=sigma, draws=draws, seed=exam.seed
    )
    state = session.keep(CertificateState(choices=session.choices()))
    state.start(steps, state.take, total=SELECTION + draws)


def _draw_outcome(state: CertificateState, exam: Examination) -> None:
    """How far it is, and what is certain by now."""
    made = state.made
    if state.running:
        done = made.selecting + made.drawn if made else 0
        draw_progress(state.begun, Progress(done, state.total, counted(made), at_most=True))
    if made is None:
        draw_job_status(state, then="Nothing was drawn yet.")
        return
    draw_job_status(state, f" after {made.drawn:,} of {made.draws:,} draws", then="Those not made count against it.")
    if made.radius is None:
        _draw_none(made, state.running)
    else:
        answering = bundle(exam.bundle).answering(answer_of(exam).classifier)
        draw_radius(made, exam, answering, state.running)


def _draw_none(made: Certificate, running: bool) -> None:
    if running:
        st.markdown("Nothing is certain yet: more than half of all draws have to agree first.")
    elif made.complete:
        st.info(
            f"**No certificate.** The answers differ too much under this noise: {made.agreeing:,} of {made.drawn:,} "
            f"draws say “{plain(made.label)}”. Less noise may do, or the answer is close to turning.",
            icon=":material/do_not_disturb_on:",
        )
    else:
        st.markdown("Nothing is certified: more than half of all draws have to agree first.")


def draw_radius(made: Certificate, exam: Examination, answering: str, running: bool) -> None:
    """The one sentence, whose answer it is about, and what it doesn't say."""
    lead = "Certain by now" if running else "Certified"
    with st.container(border=True, key="certificate"):
        st.markdown(f"{lead}: the smoothed answer")
        st.subheader(heading(plain(made.label)), anchor=False)
        st.markdown(f"**{promise(made)}** The chance that this certificate is wrong is 1 in 1,000 at most.")
        if made.label != exam.label:
            st.warning(differs(exam.label or ""), icon=":material/warning:")
        st.markdown(limits(made, answering))
        st.caption(basis(made, exam.seed))
