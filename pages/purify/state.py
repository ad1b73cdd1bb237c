"""One scan purified in one to three ways side by side, from the press of the button to the estimates as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pages.shared.examinations import answer_of
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, heavy_work

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination, Scan
    from core.purification.settings import PurifySettings
    from core.trajectories.purification import Frame, PurificationTrajectory
    from pages.shared.session import Session

FIRST_METHODS = ("one-step", "diffpure-ddim", "mae-pure")
FIRST_FILTERS = ("median", "jpeg", "gaussian")  # where the bundle has none of the networks that these take


@dataclass(kw_only=True)
class PurifyState(PageState):
    """A purification that runs, or has ended.

    Attributes
    ----------
    scan, before
        What is purified, and its result.
    reference : Examination or None
        That of the clean scan, where the open scan is an attacked copy.
    settings, seed
        How it is purified.
    trajectories : tuple of PurificationTrajectory
        How each goes; empty until the worker has begun.
    position : int or None
        Which place of the longest trajectory is looked at; None for the last.
    playing : bool
        Whether the position moves on by itself.
    mae_views : PageState or None
        Asks the MAE about the frames.
    attributions, files, thumbnails : dict
        Place of a method → where the classifier looked, before and after; its estimate as DICOM and PNG. Place and step
        → a small picture, and what changed since the frame before.
    """

    scan: Scan
    before: Examination
    reference: Examination | None
    settings: tuple[PurifySettings, ...]
    seed: int
    trajectories: tuple[PurificationTrajectory, ...] = ()
    position: int | None = None
    playing: bool = False
    mae_views: PageState | None = None
    attributions: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    files: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    thumbnails: dict[tuple[int, int], tuple[bytes, bytes | None]] = field(default_factory=dict)

    @property
    def longest(self) -> PurificationTrajectory:
        """The trajectory with the most frames: its steps are what the slider counts."""
        return max(self.trajectories, key=lambda trajectory: len(trajectory.frames))

    @property
    def last(self) -> int:
        """The last position."""
        return len(self.longest.frames) - 1

    @property
    def place(self) -> int:
        """The position that is looked at."""
        return self.last if self.position is None else min(max(self.position, 0), self.last)

    def stop(self) -> None:
        """Stop the purifiers, and the questions to the MAE."""
        super().stop()
        if self.mae_views:
            self.mae_views.stop()

    def frame(self, trajectory: PurificationTrajectory) -> Frame:
        """The frame of a trajectory that belongs to the position."""
        return trajectory.at(self.place / self.last if self.last else 1.0)

    def move(self, by: int) -> None:
        """Look at a position further on, or further back where negative; no further than the first and the last."""
        self.position, self.playing = min(max(self.place + by, 0), self.last), False

    def play(self) -> None:
        """Begin to move, from the start where the end is reached; or pause."""
        if not self.playing and self.place == self.last:
            self.position = 0
        self.playing = not self.playing

    def tick(self) -> None:
        """Move one position on, and come to rest at the last."""
        self.position = min(self.place + 1, self.last)
        self.playing = self.position < self.last


def first_methods(models: Bundle) -> tuple[str, ...]:
    """Three methods to begin with, all of which the bundle can do."""
    return FIRST_FILTERS if models.lacks else FIRST_METHODS


def possible_settings(settings: tuple[PurifySettings, ...], models: Bundle) -> tuple[PurifySettings, ...]:
    """What the visitor last set up; the comparison that the page begins with where the bundle can't do all of it."""
    from core.purification.catalogue import usable_purifiers
    from core.purification.settings import PurifySettings

    usable = usable_purifiers(models)
    if settings and all(chosen.method in usable for chosen in settings):
        return settings
    return tuple(PurifySettings(method) for method in first_methods(models)[:2])


def current_state(session: Session) -> PurifyState | None:
    """The visitor's purification, if any; one of what is no longer chosen is stopped and forgotten."""
    return session.current(PurifyState, session.choices())


def begin(session: Session, before: Examination, reference: Examination | None) -> PurifyState:
    """Start the purification that the visitor has set up; whatever came of an earlier one is dropped."""
    assert session.scan is not None
    state = PurifyState(
        choices=session.choices(),
        scan=session.scan,
        before=before,
        reference=reference,
        settings=session.purify,
        seed=session.purify_seed,
    )
    session.keep(state).start(_steps(state))
    return state


def _steps(state: PurifyState) -> Iterator[PurificationTrajectory]:
    from core.trajectories.purification import PurificationTrajectory, purify_side_by_side

    before, answer, reference = state.before, answer_of(state.before), state.reference
    models = bundle(before.bundle)
    # Here and not before, as each asks the classifier, and only the worker may.
    state.trajectories = tuple(
        PurificationTrajectory(
            before.pixels,
            models,
            settings,
            # The same for all frames: a turn is then purification's, and not another classifier's.
            classifier=answer.classifier,
            answering=models.answering(answer.classifier),
            answer=answer,
            reference=reference.pixels if reference else None,
            wanted=answer_of(reference).label if reference else None,
        )
        for settings in state.settings
    )
    yield from purify_side_by_side(state.trajectories, models, state.seed)


def attributions_of(state: PurifyState, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the classifier looked before and after one of the methods; computed once."""
    if place not in state.attributions:
        state.attributions[place] = heavy_work(
            "Asking the classifier where it looks …", lambda: _attributions(state, place)
        )
    return state.attributions[place]


def _attributions(state: PurifyState, place: int) -> tuple[np.ndarray, np.ndarray]:
    from core.explanation.attributions import saliency

    networks = bundle(state.before.bundle).classifiers
    last = state.trajectories[place].frames[-1]
    asked = answer_of(state.before), last.prediction
    own, after = (networks[answer.classifier] for answer in asked)
    return saliency(state.before.pixels, own), saliency(last.estimate, after)
