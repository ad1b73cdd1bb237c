"""How the attack on the open copy went: kept for the pages that tell the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pages.shared.page_state import PageState

if TYPE_CHECKING:
    from core import Bundle, Examination, Scan
    from core.attacks import AttackSettings
    from core.trajectories.attack import AttackTrajectory
    from pages.shared.session import Session

Climb = tuple[tuple[int, float], ...]


@dataclass(kw_only=True)
class ClimbState(PageState):
    """How the attack on a copy went; `choices`: the copy's key.

    points: step, and how probable the answer that was attacked still was, in [0, 1].
    """

    points: Climb

    def outlives(self, attacked_copy: bool) -> bool:
        """It is of use as long as the copy may be opened again."""
        return attacked_copy


def begin_climb(before: Examination, settings: AttackSettings, models: Bundle) -> AttackTrajectory:
    """What takes the steps of an attack, and asks the classifier about them. ValueError where there is no answer."""
    from core.trajectories.attack import AttackTrajectory

    answer = before.undefended
    if answer is None:
        raise ValueError(before.refused)
    label = list(answer.probabilities).index(answer.label)
    return AttackTrajectory(
        before.pixels, label, answer.confidence, models.classifiers[answer.classifier], settings.norm
    )


def keep_climb(session: Session, copy: Scan, trajectory: AttackTrajectory) -> None:
    """Keep how probable the answer was after each step, the last one included."""
    trajectory.finish()
    points = tuple((snapshot.step, snapshot.probability) for snapshot in trajectory.snapshots)
    session.keep(ClimbState(choices=(copy.key,), points=points))


def climb_of(session: Session) -> Climb:
    """How the attack on the open copy went, as far as that is known."""
    state = session.state_of(ClimbState)
    return state.points if state and session.scan and state.choices == (session.scan.key,) else ()
