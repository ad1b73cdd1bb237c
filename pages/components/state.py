"""What one visitor has chosen and sees: one typed object in the session, not loose keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:  # core brings torch: the first page must not wait for it
    from core import Examination, Scan, Window

DEFAULT_BUNDLE = "brain-mri"
TOUR_SAMPLE = "the tours' sample"


@dataclass
class Visit:
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
    """

    bundle: str = DEFAULT_BUNDLE
    sample: str | None = None
    wanted: str | None = None
    scan: Scan | None = None
    origin: Scan | None = None
    origin_examination: Examination | None = None
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

    def take(self, scan: Scan, sample: str | None = None) -> None:
        """Put a scan on the table, at its middle frame and with its own window."""
        self.scan, self.sample = scan, sample
        self.origin = self.origin_examination = self.window = self.problem = None
        self.frame = scan.default_frame

    def take_attacked(self, attacked: Scan) -> None:
        """Replace the scan by its attacked copy, and remember what it was and its result."""
        origin, examination = self.scan, self.examination
        self.take(attacked, self.sample)
        self.origin, self.origin_examination = origin, examination

    def choices(self) -> tuple[object, ...]:
        """Everything that a result depends on."""
        sha256 = self.scan.sha256 if self.scan else None
        return sha256, self.frame, self.window, self.bundle, self.classifier, self.seed


def current_visit() -> Visit:
    """This session's visit."""
    if "visit" not in st.session_state:
        st.session_state["visit"] = Visit()
    return st.session_state["visit"]


def forget_problem() -> None:
    """Take back the sentence about what went wrong: whoever chooses something else has read it."""
    current_visit().problem = None
