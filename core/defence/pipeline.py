"""The one path of a scan: prepare → detect → (purify) → classify; a bundle of classifiers alone has no more to do."""

import time
from dataclasses import replace

import torch
from torch import Tensor

from core import compute
from core.bundles import Bundle, diffusion_of
from core.defence.decision import Decisions, decide
from core.defence.examination import Detection, Examination, Prediction, Purification, PurifyStep
from core.defence.scope import not_finite, out_of_scope, wrong_kind
from core.detection.scores import Evidence, gather_evidence
from core.models.diffusion import fixed_noise
from core.purification.ddim import PURIFY_STEPS, purify_steps
from core.purification.steps import PurifierStep
from core.scans import Scan, Window
from core.scans.preparation import prepare


class _Stopwatch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._lap = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._lap = now - self._lap, now

    def finish(self) -> dict[str, float]:
        return self.seconds | {"total": time.perf_counter() - self._start}


@torch.no_grad()
def examine(
    scan: Scan,
    bundle: Bundle,
    *,
    frame: int | None = None,
    window: Window | None = None,
    classifier: str | None = None,
    seed: int = 0,
) -> Examination:
    """Examine one frame of a scan: is it a scan for this bundle, was it attacked, and what does it show?

    Parameters
    ----------
    frame : int, optional
        Which frame; the middle one by default.
    window : Window, optional
        The file's own default window where none is given.
    classifier : str, optional
        One of the bundle's; its default where none is given.
    seed : int
        Draws the noise of the detector and of the purifier: same scan, same seed, same result.

    Returns
    -------
    Examination
        With neither detection nor purification where the bundle can do neither (`Bundle.lacks`): the classifier's
        answer is then given to any scan that `wrong_kind` lets pass.

    Raises
    ------
    BundleError
        The bundle has no such classifier, or no thresholds for it.
    ScanError
        The scan has no such frame.
    """
    watch = _Stopwatch()
    name = bundle.classifier_name(classifier)
    scope_limit = None if bundle.lacks else bundle.limits_of(name).scope_limit
    index = scan.default_frame if frame is None else frame
    shown = scan.frame(index, window)
    pixels = prepare(shown, bundle.resolution, bundle.channels).to(compute.device())
    # What is known so far: each stage adds to it, and the first that refuses the scan is the last.
    known = Examination(
        file=scan.name,
        bundle=bundle.name,
        frame_index=index,
        frame=shown,
        pixels=pixels[0].cpu().numpy(),
        seed=seed,
        scope_limit=scope_limit,
        refused=wrong_kind(scan, shown, bundle),
    )
    watch.lap("prepare")
    if known.refused is None:
        judge = _classified if bundle.lacks else _defended
        known = judge(known, pixels, bundle, name, watch)
    return replace(known, seconds=watch.finish())


def _classified(known: Examination, pixels: Tensor, bundle: Bundle, name: str, watch: _Stopwatch) -> Examination:
    """With the classifier's answer as the decision: the bundle can't detect attacks."""
    logits = bundle.classifiers[name](pixels)
    answer = _prediction(logits, bundle, name)
    watch.lap("classify")
    reason = not_finite(logits)
    return replace(known, undefended=answer, prediction=None if reason else answer, refused=reason)


def _defended(known: Examination, pixels: Tensor, bundle: Bundle, name: str, watch: _Stopwatch) -> Examination:
    """With what the detector measured, and where that asks for it, what the purifier made."""
    limits, evidence = bundle.limits_of(name), gather_evidence(pixels, bundle, bundle.classifiers[name], known.seed)
    undefended, distance = _prediction(evidence.logits, bundle, name), evidence.scope_distance.item()
    scores = {score: values[0].item() for score, values in evidence.scores.items()}
    decision = decide({score: [value] for score, value in scores.items()}, [undefended.confidence], [distance], limits)
    known = replace(
        known,
        undefended=undefended,
        detection=_detection(evidence, scores, decision, bundle, name),
        scope_distance=distance,
    )
    watch.lap("detect")
    reason = not_finite(evidence.logits, evidence.scope_distance, *evidence.scores.values())
    if decision.refused[0]:
        reason = reason or out_of_scope(distance, limits.scope_limit, bundle.title)
    if reason:
        return replace(known, refused=reason)
    if not decision.flagged[0]:
        return replace(known, prediction=undefended)
    purification = _purified(pixels, bundle, name, int(decision.t_star[0]), known.seed, watch)
    return replace(
        known,
        purification=purification,
        prediction=purification.answer if decision.overruled[0] else undefended,
    )


def _purified(pixels: Tensor, bundle: Bundle, name: str, t_star: int, seed: int, watch: _Stopwatch) -> Purification:
    noise = fixed_noise(pixels.shape, seed, pixels.device)
    steps = tuple(purify_steps(pixels, t_star, PURIFY_STEPS, diffusion_of(bundle), noise))
    watch.lap("purify")
    answer = _prediction(bundle.classifiers[name](steps[-1].estimate), bundle, name)
    watch.lap("classify")
    return Purification(t_star, tuple(_record(step) for step in steps), answer)


def _prediction(logits: Tensor, bundle: Bundle, classifier: str) -> Prediction:
    probabilities = logits[0].softmax(0).tolist()
    return Prediction(classifier, dict(zip(bundle.classes, probabilities)))


def _detection(
    evidence: Evidence, scores: dict[str, float], decision: Decisions, bundle: Bundle, classifier: str
) -> Detection:
    clean, limits = bundle.calibrations[classifier].clean, bundle.limits_of(classifier)
    below = {name: sum(value < score for value in clean[name]) for name, score in scores.items()}
    return Detection(
        scores=scores,
        thresholds=limits.thresholds,
        percentiles={name: 100 * count / len(clean[name]) for name, count in below.items()},
        flagged_by=tuple(name for name, above in decision.above.items() if above[0]),
        kept_borderline=bool(decision.kept_borderline[0]),
        reconstruction=evidence.reconstruction[0].cpu().numpy(),
        error_map=evidence.error_map[0].cpu().numpy(),
        attention_map=evidence.attention_map[0].cpu().numpy(),
    )


def _record(step: PurifierStep) -> PurifyStep:
    assert step.noisy is not None and step.t is not None  # as in every step that starts from noise
    in_pixels = (step.noisy[0] + 1) / 2
    return PurifyStep(step.index, step.t, in_pixels.cpu().numpy(), step.estimate[0].cpu().numpy())
