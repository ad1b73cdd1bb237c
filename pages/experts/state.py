"""One scan before the experts: what they said of it clean, attacked and purified, and what runs on the Experts page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pages.shared.examinations import examination, target_examination
from pages.shared.jobs import Run
from pages.shared.runtime import bundle, engine, heavy_work

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination, Scan
    from core.bundles import Expert
    from core.explanation.mixture import GatePathPoint, MixtureView
    from core.models.experts import MixtureOfExperts
    from pages.experts.attention import Attention
    from pages.shared.session import Session

CLEAN, ATTACKED, PURIFIED = "Clean", "Attacked", "Purified"
STOP_SECONDS = 1.0


class Look(NamedTuple):
    """Whom to ask where they look, and how.

    method: one of `core.explanation.attributions.METHODS`; place: which expert, None for the mixture; switched_on: which of its
    experts are at work, empty where all are, or where one expert is asked.
    """

    method: str
    place: int | None = None
    switched_on: tuple[bool, ...] = ()


@dataclass
class Bench:
    """What is known of one scan and one mixture.

    Attributes
    ----------
    choices : tuple
        Everything that it depends on: of another scan or mixture it tells nothing.
    mixture, seed
        A classifier of the bundle, and what draws the noise.
    scan, before
        The scan on the table, and the result for it, or for its origin where it is an attacked copy.
    stages : dict of str to MixtureView
        `CLEAN`, `ATTACKED`, `PURIFIED` → pixels and panel; the last two once there was an attack.
    eps : float or None
        Budget of the attack that was made here, in 1/255.
    taken : ndarray or None
        (C, H, W) what the attack that runs has come to.
    path, path_method
        The gate along ε, as far as it is known, and by which attack.
    looks : dict
        Whom and how → stage → map.
    attention : dict
        Stage → maps of the MAE's attention.
    run : Run or None
        The one thing that runs, or ran last; `doing` says which, `total` how many steps it takes.
    """

    choices: tuple[object, ...]
    mixture: str
    seed: int
    scan: Scan
    before: Examination
    stages: dict[str, MixtureView]
    eps: float | None = None
    taken: np.ndarray | None = None
    path: list[GatePathPoint] = field(default_factory=list)
    path_method: str | None = None
    looks: dict[Look, dict[str, np.ndarray]] = field(default_factory=dict)
    attention: dict[str, Attention] = field(default_factory=dict)
    run: Run | None = None
    doing: object = None
    total: int = 1

    @property
    def models(self) -> Bundle:
        """The bundle."""
        return bundle(self.before.bundle)

    @property
    def network(self) -> MixtureOfExperts:
        """The mixture itself; shared, so never to be modified."""
        return self.models.classifiers[self.mixture]

    @property
    def experts(self) -> tuple[Expert, ...]:
        """Who sits in the mixture."""
        return self.models.experts(self.mixture)

    @property
    def running(self) -> bool:
        """Whether more steps are to come."""
        return self.run is not None and not self.run.done

    def stop(self) -> None:
        """Stop what runs."""
        if self.run:
            self.run.stop()

    def start(self, doing: object, total: int, steps: Iterator[object]) -> None:
        """Run something in the worker, and drop what ran before."""
        if self.running and self.doing == ATTACKED:
            self.taken = self.eps = None  # half an attack must not be taken for the whole one
        self.stop()
        self.doing, self.total = doing, total
        self.run = Run(engine().worker, steps, lambda _: None)
        self.run.start()


def current_bench(session: Session, mixture: str) -> Bench:
    """The visitor's bench; of another scan or mixture it is laid out anew, and what ran is stopped."""
    scan, origin = session.scan, session.origin
    assert scan is not None
    sha256 = origin.sha256 if origin else None
    choices = (scan.sha256, sha256, session.frame, session.window, session.bundle, session.seed, mixture)
    bench = session.bench
    if bench is None or bench.choices != choices:
        if bench:
            bench.stop()
        bench = session.bench = _laid_out(session, mixture, choices)
    if bench.run and bench.run.stopped:
        bench.run.wait(STOP_SECONDS)  # it is at its last step: not worth drawing it as running once more
    return bench


def _laid_out(session: Session, mixture: str, choices: tuple[object, ...]) -> Bench:
    from core.explanation.mixture import run_mixture

    now, before = examination(session), target_examination(session)
    models, seed = bundle(session.bundle), session.seed
    clean = heavy_work("Asking the experts …", lambda: run_mixture(before.pixels, models, mixture))
    bench = Bench(choices, mixture, seed, session.scan, before, {CLEAN: clean})
    bench.taken = now.pixels if session.origin else None
    return bench
