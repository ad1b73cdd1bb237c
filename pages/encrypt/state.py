"""One scan before a server that can't read it: what was asked, what crossed, and what runs on the Encrypt page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pages.shared.examinations import examination
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, heavy_work
from pages.shared.worker import Worker

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination
    from core.encryption import EncryptedPrediction, EncryptStep, Head, Preset, Server
    from core.evaluation.encrypted import LabelledTokens, Summary
    from core.federation.leaks.inversion import Quality
    from core.federation.leaks.leak import Leak
    from pages.shared.session import Session

ASK, COHORT = "ask", "cohort"


@dataclass(kw_only=True)
class EncryptState(PageState):
    """What is known of one scan and one classifier that has a class token.

    Attributes
    ----------
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
    asked : Server or None
        What was asked last.
    preset : str
        With which encryption parameters the last question was asked.
    """

    classifier: str
    before: Examination
    token: np.ndarray
    steps: list[EncryptStep] = field(default_factory=list)
    cohort: list[EncryptedPrediction] = field(default_factory=list)
    cohort_of: tuple[str, str] = ("", "")
    totals: Summary | None = None
    leaks: dict[str, Leak] = field(default_factory=dict)
    asked: Server | None = field(default=None, repr=False)
    preset: str = ""

    @property
    def models(self) -> Bundle:
        """The bundle."""
        return bundle(self.before.bundle)

    @property
    def answer(self) -> EncryptedPrediction | None:
        """What came of the last question; None until it is back."""
        return self.steps[-1].prediction if self.steps else None

    @cached_property
    def guess(self) -> Quality | None:
        """How much of the scan somebody guesses who was sent nothing; None where there is nothing to guess from."""
        from core.federation.leaks.leak import guess_quality

        return heavy_work("Guessing the scan …", lambda: guess_quality(self.before.pixels, self.models))

    def stop(self) -> None:
        """Stop what runs, also where it waits for a server."""
        super().stop()
        if self.asked:
            self.asked.abandon()

    def head(self, kind: str) -> Head:
        """The head of this kind."""
        from core.encryption import head_of

        return head_of(self.models.classifiers[self.classifier], kind)

    def ask(self, kind: str, preset: Preset, server: Server) -> None:
        """Encrypt the token with new keys, and ask the server."""
        self.steps, self.preset = [], preset.name
        # A worker of its own: a server that doesn't answer must keep no other visitor waiting.
        self.start(_ask_steps(self, kind, preset, server), self.steps.append, doing=ASK, worker=Worker())
        self.asked = server

    def ask_samples(self, kind: str, preset: Preset, server: Server) -> None:
        """Ask about every sample scan of the bundle whose class is known; ValueError in one sentence where none is."""
        from core.evaluation.encrypted import sample_tokens

        samples = heavy_work("Computing the tokens …", lambda: sample_tokens(self.models, self.classifier))
        self.cohort, self.cohort_of, self.totals = [], (kind, preset.name), None
        steps = _sample_steps(self, samples, self.head(kind), preset, server)
        self.start(steps, self.cohort.append, doing=COHORT, total=len(samples.labels), worker=Worker())
        self.asked = server

    def attack(self, what: str, seed: int) -> None:
        """Send something of the scan, and recover the scan from it."""
        from core.federation.leaks.leak import leak_steps

        self.leaks.pop(what, None)
        steps = leak_steps(self.before.pixels, self.models, self.classifier, what, seed)
        self.start(steps, lambda step: self.leaks.update({what: step}), doing=what)


def current_state(session: Session, classifier: str) -> EncryptState:
    """What is known of this scan and this classifier; of another one it is begun anew, and what ran is stopped."""
    choices = (*session.choices(), classifier)
    return session.current(EncryptState, choices) or session.keep(_new_state(session, classifier, choices))


def _new_state(session: Session, classifier: str, choices: tuple[object, ...]) -> EncryptState:
    before, models = examination(session), bundle(session.bundle)
    tokens = heavy_work("Computing the token …", lambda: _tokens(models, classifier, before.pixels[None]))
    return EncryptState(choices=choices, classifier=classifier, before=before, token=tokens[0])


def _tokens(models: Bundle, classifier: str, pixels: np.ndarray) -> np.ndarray:
    from core.evaluation.encrypted import tokens_of

    return tokens_of(models, classifier, pixels)


def _ask_steps(state: EncryptState, kind: str, preset: Preset, server: Server) -> Iterator[EncryptStep]:
    from core.encryption import encrypted_steps

    server.health()  # that it has to be started first is no part of what encryption takes
    yield from encrypted_steps(state.token, state.head(kind), preset, server)


def _sample_steps(
    state: EncryptState, samples: LabelledTokens, head: Head, preset: Preset, server: Server
) -> Iterator[EncryptedPrediction]:
    from core.evaluation.encrypted import ask_steps, summary

    yield from ask_steps(samples.tokens, head, preset, server)
    # Nobody's scans are near-duplicates here: each is a group of its own.
    state.totals = summary(state.cohort, samples.labels, [str(place) for place in range(len(samples.labels))])
