"""What one visitor has chosen and sees: one typed object in the session, not loose keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

import streamlit as st

from pages.shared.page_state import StateKeeper
from pages.shared.runtime import DEFAULT_BUNDLE
from pages.shared.visit import Visit

if TYPE_CHECKING:  # core brings torch: the first page must not wait for it
    from core import Examination, Scan, Window
    from core.attacks import AttackSettings
    from core.defence.profile import Profile
    from core.purification.settings import PurifySettings
    from core.scans import Study

TOUR_SAMPLE = "the tours' sample"


class AttackedCopy(NamedTuple):
    """An attacked scan as read back from its file, result and `target_choices` of what it was made from, and how."""

    scan: Scan
    before: Examination
    choices: tuple[object, ...]
    settings: AttackSettings
    seed: int


@dataclass
class Session(StateKeeper):
    """One visitor's choices and the last result.

    Attributes
    ----------
    wanted : str, Study or None
        What was just picked and is still to be opened: a sample's key, `TOUR_SAMPLE`, or what was uploaded.
    scan, sample
        The scan that is open, which a bad upload leaves so, and its key where it is a sample; None where there is none.
    origin : Scan or None
        What `scan` was before it was attacked, None where it wasn't; origin_examination, origin_frame, origin_window:
        its result, and what of it was attacked; attacked_by, attacked_seed, attacked_models: how, and to deceive which
        bundle's classifier, where that was done here.
    frame, window, classifier, seed
        As `core.examine` takes them; window_settings: how often the viewer set the window; examination, examined: the
        last result and the choices it belongs to: only one is kept, so that memory stays flat.
    tour, step, left_tour
        Key of the running tour and its step, from 0; key of the one that was left at that step.
    problem, profile_problem, uploads
        One sentence about the last thing that went wrong, and about a file that is no profile for this bundle; how
        often something was uploaded, as after each time the uploader is a new one.
    attack, attack_seed, purify, purify_seed
        How the next attack and purification will go; None and empty before their pages were opened.
    mixture, faulty : str or None
        Which mixture the Experts page opens up, which network the Faults page damages; None for the bundle's first.
    head, preset, server : str
        How the Encrypt page asks: 'linear' or 'polynomial', preset and address; empty for the head's and the app's own.
    visitor : str
        A random number that tells visits apart in the log; write_names: whether files to take away may hold the names
        of the visitor's own files, which may name a patient.
    profile, loaded_profile : Profile or None
        The site's thresholds that are wanted in the place of the bundle's own, and those that are at hand.
    attacked_copy, visit
        What the last attack on the Attack page made; what the browser keeps, and what the address asks for.
    """

    bundle: str = DEFAULT_BUNDLE
    sample: str | None = None
    wanted: str | Study | None = None
    scan: Scan | None = None
    origin: Scan | None = None
    origin_examination: Examination | None = None
    origin_frame: int = 0
    origin_window: Window | None = None
    frame: int = 0
    window: Window | None = None
    window_settings: int = 0
    classifier: str | None = None
    seed: int = 0
    examination: Examination | None = None
    examined: tuple[object, ...] = field(default=())
    tour: str | None = None
    left_tour: str | None = None
    step: int = 0
    notice_seen: bool = False
    problem: str | None = None
    uploads: int = 0
    attack: AttackSettings | None = None
    attack_seed: int = 0
    purify: tuple[PurifySettings, ...] = ()
    purify_seed: int = 0
    mixture: str | None = None
    faulty: str | None = None
    head: str = "linear"
    preset: str = ""
    server: str = ""
    visitor: str = field(default_factory=lambda: token_hex(4))
    write_names: bool = False
    profile: Profile | None = None
    loaded_profile: Profile | None = None
    profile_problem: str | None = None
    attacked_copy: AttackedCopy | None = None
    attacked_by: AttackSettings | None = None
    attacked_seed: int = 0
    attacked_models: tuple[str, str | None] = (DEFAULT_BUNDLE, None)
    visit: Visit = field(default_factory=Visit)

    def choose_profile(self, profile: Profile | None) -> None:
        """Take a site's thresholds, or those that are shipped where None; what was loaded stays at hand."""
        self.profile, self.loaded_profile = profile, profile or self.loaded_profile
        self.origin_examination = self.profile_problem = None

    def choose_bundle(self, name: str) -> None:
        """Take another bundle, with its own classifier; a tour speaks of the one it began with, and ends."""
        self.bundle, self.classifier, self.tour = name, None, None

    def take(self, scan: Scan, sample: str | None = None, attacked_copy: bool = False) -> None:
        """Open a scan, at its middle frame and with its own window."""
        self.scan, self.sample = scan, sample
        self.origin = self.origin_examination = self.attacked_by = self.window = self.problem = None
        self.frame = scan.default_frame
        self.attacked_copy = self.attacked_copy if attacked_copy else None
        self.forget_states(attacked_copy)

    def take_attacked(
        self, attacked: Scan, before: Examination | None = None, by: AttackSettings | None = None, seed: int = 0
    ) -> None:
        """Replace the scan by its attacked copy, and remember what it was and its result, `before`."""
        target, before = self.target(), before or self.origin_examination or self.examination
        self.take(attacked, self.sample, attacked_copy=True)
        (self.origin, self.origin_frame, self.origin_window), self.origin_examination = target, before
        self.attacked_by, self.attacked_seed, self.attacked_models = by, seed, (self.bundle, self.classifier)
        if self.attacked_copy and self.attacked_copy.scan is not attacked:
            self.attacked_copy = None

    def target(self) -> tuple[Scan | None, int, Window | None]:
        """What an attack is aimed at: the scan, frame and window that are open, or what they were before an attack."""
        if self.origin is not None:
            return self.origin, self.origin_frame, self.origin_window
        return self.scan, self.frame, self.window

    def target_choices(self) -> tuple[object, ...]:
        """Everything that an attack's target depends on."""
        scan, frame, window = self.target()
        return scan.key if scan else None, frame, window, *self._models()

    def choices(self) -> tuple[object, ...]:
        """Everything that a result depends on."""
        return self.scan.key if self.scan else None, self.frame, self.window, *self._models()

    def _models(self) -> tuple[object, ...]:
        return self.bundle, self.classifier, self.seed, self.profile and self.profile.key


# Secret → state, as long as Streamlit itself keeps that: two minutes after a page was left.
VISITS: WeakValueDictionary[str, Session] = WeakValueDictionary()


def current_session() -> Session:
    """The state of the visitor whose script runs."""
    if "session" not in st.session_state:
        take_session(Session())
    return st.session_state["session"]


def take_session(session: Session) -> None:
    """Make this the visitor's state, which the same tab finds again when it is loaded again."""
    st.session_state["session"] = VISITS[session.visit.secret] = session


def forget_problem() -> None:
    """Take back the sentence about what went wrong: whoever chooses something else has read it."""
    session = current_session()
    session.problem = session.visit.problem = None
