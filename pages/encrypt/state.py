"""One scan before a server that can't read it: what was asked, what crossed, and what runs on the Encrypt page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pages.shared.examinations import examination
from pages.shared.jobs import Run
from pages.shared.runtime import Worker, bundle, engine, heavy_work

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination
    from core.encryption import EncryptedPrediction, EncryptStep, Head, Preset, Server
    from core.evaluation.encrypted import LabelledTokens, Summary
    from core.federation.inversion import Quality
    from core.federation.leak import Leak
    from pages.shared.session import Session

STOP_SECONDS = 1.0
ASK, COHORT = "ask", "cohort"


@dataclass
class EncryptBench:
    """What is known of one scan and one classifier that has a class token.

    Attributes
    ----------
    choices : tuple
        Everything that it depends on: of another scan it tells nothing.
    classifier : str
        One of the bundle's that ends in a class token.
    before : Examination
        The scan's result, for its picture and its pixels.
    token : ndarray
        (768,) of the scan.
    steps : list of EncryptStep
        What the last question went through so far.
    cohort : list of EncryptedPrediction
        The sample scans that were asked about so far; `cohort_of` says with which head and preset.
    total, totals : int, Summary or None
        How many they are, and what they come to; None until all are in.
    leaks : dict
        What was sent → the last step of its inversion.
    run : Run or None
        The one thing that runs, or ran last; `doing` says which.
    """

    choices: tuple[object, ...]
    classifier: str
    before: Examination
    token: np.ndarray
    steps: list[EncryptStep] = field(default_factory=list)
    cohort: list[EncryptedPrediction] = field(default_factory=list)
    cohort_of: tuple[str, str] = ("", "")
    total: int = 0
    totals: Summary | None = None
    leaks: dict[str, Leak] = field(default_factory=dict)
    run: Run | None = None
    doing: str = ""

    @property
    def models(self) -> Bundle:
        """The bundle."""
        return bundle(self.before.bundle)

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.run is not None and not self.run.done

    @property
    def answer(self) -> EncryptedPrediction | None:
        """What came of the last question; None until it is back."""
        return self.steps[-1].prediction if self.steps else None

    @cached_property
    def guess(self) -> Quality | None:
        """How much of the scan somebody guesses who was sent nothing; None where there is nothing to guess from."""
        from core.federation.leak import guess_quality

        return heavy_work("Guessing the scan …", lambda: guess_quality(self.before.pixels, self.models))

    def head(self, kind: str) -> Head:
        """The head of this kind."""
        from core.encryption import head_of

        return head_of(self.models.classifiers[self.classifier], kind)

    def stop(self) -> None:
        """Stop what runs."""
        if self.run:
            self.run.stop()

    def ask(self, kind: str, preset: Preset, server: Server) -> None:
        """Encrypt the token with new keys, and ask the server."""
        self.steps = []
        # A worker of its own: a server that doesn't answer must keep no other visitor waiting.
        self._start(ASK, _ask_steps(self, kind, preset, server), self.steps.append, Worker())

    def ask_samples(self, kind: str, preset: Preset, server: Server) -> None:
        """Ask about every sample scan of the bundle; ValueError in one sentence where it has none."""
        from core.evaluation.encrypted import sample_tokens

        samples = heavy_work("Computing the tokens …", lambda: sample_tokens(self.models, self.classifier))
        self.cohort, self.cohort_of, self.totals, self.total = [], (kind, preset.name), None, len(samples.labels)
        self._start(COHORT, _sample_steps(self, samples, self.head(kind), preset, server), self.cohort.append, Worker())

    def attack(self, what: str, seed: int) -> None:
        """Send something of the scan, and recover the scan from it."""
        from core.federation.leak import leak_steps

        self.leaks.pop(what, None)
        steps = leak_steps(self.before.pixels, self.models, self.classifier, what, seed)
        self._start(what, steps, lambda step: self.leaks.update({what: step}), engine().worker)

    def _start(self, doing: str, steps: Iterator[Any], take: Callable[[Any], object], worker: Worker) -> None:
        self.stop()
        self.doing, self.run = doing, Run(worker, steps, take)
        self.run.start()


def current_bench(session: Session, classifier: str) -> EncryptBench:
    """The visitor's bench; of another scan or classifier it is laid out anew, and what ran is stopped."""
    choices = (*session.choices(), classifier)
    bench = session.encrypted
    if bench is None or bench.choices != choices:
        if bench:
            bench.stop()
        bench = session.encrypted = _laid_out(session, classifier, choices)
    if bench.run and bench.run.stopped:
        bench.run.wait(STOP_SECONDS)  # it is at its last step: not worth drawing it as running once more
    return bench


def _laid_out(session: Session, classifier: str, choices: tuple[object, ...]) -> EncryptBench:
    before, models = examination(session), bundle(session.bundle)
    tokens = heavy_work("Computing the token …", lambda: _tokens(models, classifier, before.pixels[None]))
    return EncryptBench(choices, classifier, before, tokens[0])


def _tokens(models: Bundle, classifier: str, pixels: np.ndarray) -> np.ndarray:
    from core.evaluation.encrypted import tokens_of

    return tokens_of(models, classifier, pixels)


def _ask_steps(bench: EncryptBench, kind: str, preset: Preset, server: Server) -> Iterator[EncryptStep]:
    from core.encryption import encrypted_steps

    server.health()  # that it has to be started first is no part of what encryption takes
    yield from encrypted_steps(bench.token, bench.head(kind), preset, server)


def _sample_steps(
    bench: EncryptBench, samples: LabelledTokens, head: Head, preset: Preset, server: Server
) -> Iterator[EncryptedPrediction]:
    from core.evaluation.encrypted import ask_steps, summary

    yield from ask_steps(samples.tokens, head, preset, server)
    # Nobody's scans are near-duplicates here: each is a group of its own.
    bench.totals = summary(bench.cohort, samples.labels, [str(place) for place in range(len(samples.labels))])
