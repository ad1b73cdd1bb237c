"""What one visitor has chosen and sees: one typed object in the session, not loose keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:  # core brings torch: the first page must not wait for it
    from core import Examination, Scan, Window
    from core.attacks import AttackSettings
    from core.purification.settings import PurifySettings
    from pages.attack.state import Bout
    from pages.detect.trials import Trials
    from pages.encrypt.state import EncryptBench
    from pages.experts.state import Bench
    from pages.faults.state import FaultBench
    from pages.purify.seeds import Survey
    from pages.purify.state import Studio

DEFAULT_BUNDLE = "brain-mri"
TOUR_SAMPLE = "the tours' sample"


@dataclass
class Session:
    """One visitor's choices and the last result.

    Attributes
    ----------
    sample : str or None
        Key of the sample that the picker shows; None after an upload.
    wanted : str or None
        Key of a sample, or `TOUR_SAMPLE`, that was just picked and is still to be opened.
    scan : Scan or None
        The scan on the table; a bad upload leaves it where it is.
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
    bout : Bout or None
        The attack that runs, or ran last; only one is kept, so that memory stays flat.
    trials : Trials or None
        The detector's test on the samples that runs, or ran last.
    purify, purify_seed
        How the next purification will go, side by side; empty before the Purify page was opened.
    studio, survey
        The purification that runs, or ran last, and the same over many seeds; only one of each is kept.
    mixture : str or None
        Which mixture the Experts page opens up; the bundle's first where None.
    bench : Bench or None
        What the experts said of the scan on the table, and what runs on that page; only one is kept.
    faulty : str or None
        Which network the Faults page damages; the bundle's default classifier where None.
    faults : FaultBench or None
        What is damaged in it, and what runs on that page; the damage stays when another scan is chosen.
    head, preset, server : str
        How the Encrypt page asks: 'linear' or 'polynomial', the encryption preset's name, and the server's address;
        empty for the head's own preset, and for a server of the app's own.
    encrypted : EncryptBench or None
        What was asked there about the scan on the table, and what runs.
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
    bout: Bout | None = None
    trials: Trials | None = None
    purify: tuple[PurifySettings, ...] = ()
    purify_seed: int = 0
    studio: Studio | None = None
    survey: Survey | None = None
    mixture: str | None = None
    bench: Bench | None = None
    faulty: str | None = None
    faults: FaultBench | None = None
    head: str = "linear"
    preset: str = ""
    server: str = ""
    encrypted: EncryptBench | None = None

    def choose_bundle(self, name: str) -> None:
        """Take another bundle, with its own classifier; a tour speaks of the one it began with, and ends."""
        self.bundle, self.classifier, self.tour = name, None, None

    def take(self, scan: Scan, sample: str | None = None) -> None:
        """Put a scan on the table, at its middle frame and with its own window."""
        self.scan, self.sample = scan, sample
        self.origin = self.origin_examination = self.window = self.problem = None
        self.frame = scan.default_frame
        for work in (self.bout, self.studio, self.survey):
            if work:
                work.run.stop()
        for kept in (self.bench, self.encrypted):
            if kept:
                kept.stop()
        self.bout = self.studio = self.survey = self.bench = self.encrypted = None
        if self.faults:
            self.faults.answer = None  # the damage is the network's and stays; what it did to a scan goes

    def take_attacked(self, attacked: Scan, before: Examination | None = None) -> None:
        """Replace the scan by its attacked copy, and remember what it was and its result, `before`."""
        scan, frame, window = self.target()
        before = before or self.origin_examination or self.examination
        bout, self.bout = self.bout, None  # the attack that the copy comes from stays to be looked at
        self.take(attacked, self.sample)
        self.bout = bout
        self.origin, self.origin_frame, self.origin_window = scan, frame, window
        self.origin_examination = before

    def target(self) -> tuple[Scan | None, int, Window | None]:
        """What an attack is aimed at: the scan, frame and window on the table, or what they were before an attack."""
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
    """This session's visit."""
    if "session" not in st.session_state:
        st.session_state["session"] = Session()
    return st.session_state["session"]


def forget_problem() -> None:
    """Take back the sentence about what went wrong: whoever chooses something else has read it."""
    current_session().problem = None
