"""What one visitor has chosen and sees: one typed object in the session, not loose keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from pages.shared.page_state import StateKeeper
from pages.shared.runtime import DEFAULT_BUNDLE

if TYPE_CHECKING:  # core brings torch: the first page must not wait for it
    from core import Examination, Scan, Window
    from core.attacks import AttackSettings
    from core.purification.settings import PurifySettings

TOUR_SAMPLE = "the tours' sample"


class AttackedCopy(NamedTuple):
    """An attacked scan as read back from its file, and the result for what it was made from."""

    scan: Scan
    before: Examination


@dataclass
class Session(StateKeeper):
    """One visitor's choices and the last result.

    Attributes
    ----------
    sample : str or None
        Key of the sample that the picker shows; None after an upload.
    wanted : str or None
        Key of a sample, or `TOUR_SAMPLE`, that was just picked and is still to be opened.
    scan : Scan or None
        The scan that is open; a bad upload leaves it so.
    origin : Scan or None
        What `scan` was before it was attacked; None where nothing was attacked.
    origin_examination : Examination or None
        The result for `origin`.
    origin_frame, origin_window
        The frame and the window that were attacked.
    frame, window, classifier, seed
        As `core.examine` takes them.
    examination, examined
        The last result and the choices it belongs to: only one is kept, so that memory stays flat.
    tour, step
        Key of the running tour and its step, from 0.
    problem : str or None
        One sentence about the last thing that went wrong.
    upload_id : str or None
        Which file of the uploader was opened last.
    attack, attack_seed
        How the next attack will go; None before the Attack page was opened.
    teaching, difference
        Whether Attack and Purify are in the teacher's mode, and Attack there shows the difference in place of the scan.
    purify, purify_seed
        How the next purification will go, side by side; empty before the Purify page was opened.
    mixture : str or None
        Which mixture the Experts page opens up; the bundle's first where None.
    faulty : str or None
        Which network the Faults page damages; the bundle's default classifier where None.
    head, preset, server : str
        How the Encrypt page asks: 'linear' or 'polynomial', the encryption preset's name, and the server's address;
        empty for the head's own preset, and for a server of the app's own.
    visitor : str
        A random number that tells visits apart in the log.
    write_names : bool
        Whether files to take away may hold the names of the visitor's own files, which may name a patient.
    attacked_copy : AttackedCopy or None
        What the last attack on the Attack page made.
    """

    bundle: str = DEFAULT_BUNDLE
    sample: str | None = None
    wanted: str | None = None
    scan: Scan | None = None
    origin: Scan | None = None
    origin_examination: Examination | None = None
    origin_frame: int = 0
    origin_window: Window | None = None
    frame: int = 0
    window: Window | None = None
    classifier: str | None = None
    seed: int = 0
    examination: Examination | None = None
    examined: tuple[object, ...] = field(default=())
    tour: str | None = None
    step: int = 0
    notice_seen: bool = False
    problem: str | None = None
    upload_id: str | None = None
    attack: AttackSettings | None = None
    attack_seed: int = 0
    teaching: bool = False
    difference: bool = False
    purify: tuple[PurifySettings, ...] = ()
    purify_seed: int = 0
    mixture: str | None = None
    faulty: str | None = None
    head: str = "linear"
    preset: str = ""
    server: str = ""
    visitor: str = field(default_factory=lambda: token_hex(4))
    write_names: bool = False
    attacked_copy: AttackedCopy | None = None

    def choose_bundle(self, name: str) -> None:
        """Take another bundle, with its own classifier; a tour speaks of the one it began with, and ends."""
        self.bundle, self.classifier, self.tour = name, None, None

    def switch_teaching(self) -> None:
        """Into the teacher's mode, or out of it."""
        self.teaching = not self.teaching

    def take(self, scan: Scan, sample: str | None = None, attacked_copy: bool = False) -> None:
        """Open a scan, at its middle frame and with its own window."""
        self.scan, self.sample = scan, sample
        self.origin = self.origin_examination = self.window = self.problem = None
        self.frame = scan.default_frame
        self.forget_states(attacked_copy)
        if not attacked_copy:
            self.attacked_copy = None

    def take_attacked(self, attacked: Scan, before: Examination | None = None) -> None:
        """Replace the scan by its attacked copy, and remember what it was and its result, `before`."""
        scan, frame, window = self.target()
        before = before or self.origin_examination or self.examination
        self.take(attacked, self.sample, attacked_copy=True)
        self.origin, self.origin_frame, self.origin_window = scan, frame, window
        self.origin_examination = before

    def target(self) -> tuple[Scan | None, int, Window | None]:
        """What an attack is aimed at: the scan, frame and window that are open, or what they were before an attack."""
        if self.origin is not None:
            return self.origin, self.origin_frame, self.origin_window
        return self.scan, self.frame, self.window

    def target_choices(self) -> tuple[object, ...]:
        """Everything that an attack's target depends on."""
        scan, frame, window = self.target()
        return scan.sha256 if scan else None, frame, window, self.bundle, self.classifier, self.seed

    def choices(self) -> tuple[object, ...]:
        """Everything that a result depends on."""
        sha256 = self.scan.sha256 if self.scan else None
        return sha256, self.frame, self.window, self.bundle, self.classifier, self.seed


def current_session() -> Session:
    """The state of the visitor whose script runs."""
    if "session" not in st.session_state:
        st.session_state["session"] = Session()
    return st.session_state["session"]


def forget_problem() -> None:
    """Take back the sentence about what went wrong: whoever chooses something else has read it."""
    current_session().problem = None
