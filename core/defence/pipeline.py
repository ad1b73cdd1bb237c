"""The one path of a scan: prepare → detect → (purify) → classify; a bundle of classifiers alone has no more to do."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core import compute
from core.bundles import Bundle, diffusion_of
from core.defence.acquisition import acquisition_of
from core.defence.decision import Decisions, decide
from core.defence.examination import Detection, Examination, Prediction, Purification, PurifyStep
from core.defence.scope import empty, not_finite, out_of_scope, wrong_acquisition, wrong_kind
from core.detection.scores import Evidence, gather_evidence
from core.models.diffusion import fixed_noise
from core.purification.ddim import PURIFY_STEPS, purify_steps
from core.purification.steps import PurifierStep
from core.scans import Scan, Window
from core.scans.preparation import prepare


@dataclass(frozen=True)
class Request:
    """One frame of a scan to be examined; `frame`, `window` and `seed` as `examine` takes them."""

    scan: Scan
    frame: int | None = None
    window: Window | None = None
    seed: int = 0


class _Stopwatch:
    def __init__(self) -> None:
        self._start = self._lap = time.perf_counter()

    def lap(self, exams: Sequence[Examination], stage: str) -> list[Examination]:
        """With the time since the last lap as that of this stage."""
        now = time.perf_counter()
        seconds, self._lap = now - self._lap, now
        return [replace(exam, seconds={**exam.seconds, stage: seconds}) for exam in exams]

    def finish(self, exams: Sequence[Examination]) -> list[Examination]:
        self._lap = self._start
        return self.lap(exams, "total")


Judge = Callable[[list[Examination], Bundle, str, _Stopwatch], list[Examination]]


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
        With neither detection nor purification where there is neither (`Bundle.lacks_for`): the classifier's
        answer is then given to any scan that `wrong_kind` and `wrong_acquisition` let pass.

    Raises
    ------
    BundleError
        The bundle has no such classifier, or no thresholds for it.
    ScanError
        The scan has no such frame.
    """
    return examine_batch([Request(scan, frame, window, seed)], bundle, classifier=classifier)[0]


@torch.no_grad()
def examine_batch(requests: Sequence[Request], bundle: Bundle, *, classifier: str | None = None) -> list[Examination]:
    """Examine several scans in one go, each as `examine` does it, and what that raises for any of them.

    What the detector computes for all of them is shared; up to `core.compute.batch_size` scans that saves time. Scores
    may differ from those of a scan alone by the order of a float32 sum; estimates don't differ.

    Returns
    -------
    list of Examination
        In the order of the requests. The seconds of what is shared, and the total, are the whole batch's.
    """
    return _judged(requests, bundle, classifier, _classified if bundle.lacks_for(classifier) else _defended)


@torch.no_grad()
def answer_batch(requests: Sequence[Request], bundle: Bundle, *, classifier: str | None = None) -> list[Examination]:
    """The classifier's own answers alone, refused by what the file says, without detection: soon, and not the decision.

    Parameters, order and errors are those of `examine_batch`.
    """
    return _judged(requests, bundle, classifier, _classified)


def _judged(requests: Sequence[Request], bundle: Bundle, classifier: str | None, judge: Judge) -> list[Examination]:
    watch = _Stopwatch()
    name = bundle.classifier_name(classifier)
    scope_limit = None if bundle.lacks_for(name) else bundle.limits_of(name).scope_limit
    # What is known so far: each stage adds to it, and the first that refuses a scan is its last.
    known = watch.lap([_prepared(request, bundle, scope_limit) for request in requests], "prepare")
    accepted = [exam for exam in known if exam.refused is None]
    judged = iter(judge(accepted, bundle, name, watch) if accepted else ())
    return watch.finish([next(judged) if exam.refused is None else exam for exam in known])


def _prepared(request: Request, bundle: Bundle, scope_limit: float | None) -> Examination:
    scan = request.scan
    index = scan.default_frame if request.frame is None else request.frame
    shown = scan.frame(index, request.window)
    exam = Examination(
        file=scan.name,
        bundle=bundle.name,
        frame_index=index,
        frame=shown,
        pixels=prepare(shown, bundle.resolution, bundle.channels, scan.spacing)[0].numpy(),
        seed=request.seed,
        scope_limit=scope_limit,
        refused=wrong_kind(scan, shown, bundle),
        spacing=scan.spacing,
    )
    plane, sequence = acquisition_of(exam, scan, bundle)
    exam = replace(exam, plane=plane, sequence=sequence)
    return replace(exam, refused=exam.refused or empty(exam.pixels) or wrong_acquisition(exam, bundle, "tags"))


def _pixels(exams: Sequence[Examination]) -> Tensor:
    return torch.stack([torch.from_numpy(exam.pixels) for exam in exams]).to(compute.device())


def _classified(exams: list[Examination], bundle: Bundle, name: str, watch: _Stopwatch) -> list[Examination]:
    """With the classifier's answer as the decision: the bundle can't detect attacks, or isn't asked to."""
    judged = []
    for exam, logits in zip(exams, bundle.classifiers[name](_pixels(exams)).split(1)):
        answer = _prediction(logits, bundle, name)
        reason = not_finite(logits) or wrong_acquisition(exam, bundle, "picture")
        judged.append(replace(exam, undefended=answer, prediction=None if reason else answer, refused=reason))
    return watch.lap(judged, "classify")


def _defended(exams: list[Examination], bundle: Bundle, name: str, watch: _Stopwatch) -> list[Examination]:
    """With what the detector measured, and where that asks for it, what the purifier made."""
    found = gather_evidence(_pixels(exams), bundle, bundle.classifiers[name], [exam.seed for exam in exams])
    decided = [_decided(exam, found.of(place), bundle, name) for place, exam in enumerate(exams)]
    measured = watch.lap([exam for exam, _ in decided], "detect")
    # Each alone: in bfloat16 the U-Net's estimate of one scan differs a little from its estimate of the same among
    # others, and an estimate that is written to a file must not depend on who else was asking.
    return [
        _purified(exam, bundle, name, t_star, watch) if t_star else exam for exam, (_, t_star) in zip(measured, decided)
    ]


def _decided(exam: Examination, evidence: Evidence, bundle: Bundle, name: str) -> tuple[Examination, int]:
    """With what the evidence says of one scan; and t*, 0 where there is nothing to purify."""
    limits, undefended = bundle.limits_of(name), _prediction(evidence.logits, bundle, name)
    scores = {score: values[0].item() for score, values in evidence.scores.items()}
    distance = evidence.scope_distance.item()
    decision = decide({score: [value] for score, value in scores.items()}, [undefended.confidence], [distance], limits)
    reason = not_finite(evidence.logits, evidence.scope_distance, *evidence.scores.values())
    if decision.refused[0]:
        reason = reason or out_of_scope(distance, limits.scope_limit, bundle.title)
    reason = reason or wrong_acquisition(exam, bundle, "picture")
    measured = replace(
        exam,
        undefended=undefended,
        prediction=None if reason else undefended,
        detection=_detection(evidence, scores, decision, bundle, name),
        scope_distance=distance,
        refused=reason,
    )
    return measured, 0 if reason else int(decision.t_star[0])


def _purified(exam: Examination, bundle: Bundle, name: str, t_star: int, watch: _Stopwatch) -> Examination:
    """With the estimate, and the answer to it as the decision where the scan's own isn't borderline."""
    pixels = _pixels([exam])
    noise = fixed_noise(pixels.shape, exam.seed, pixels.device)
    steps = tuple(purify_steps(pixels, t_star, PURIFY_STEPS, diffusion_of(bundle), noise))
    [exam] = watch.lap([exam], "purify")
    answering = bundle.answering(name)
    answer = _prediction(bundle.classifiers[answering](steps[-1].estimate), bundle, answering)
    decision = exam.prediction if exam.detection and exam.detection.kept_borderline else answer
    made = Purification(t_star, tuple(_record(step) for step in steps), answer)
    [exam] = watch.lap([replace(exam, purification=made, prediction=decision)], "classify")
    return exam


def _prediction(logits: Tensor, bundle: Bundle, classifier: str) -> Prediction:
    probabilities = logits[0].softmax(0).tolist()
    return Prediction(classifier, dict(zip(bundle.classes, probabilities)))


def _detection(
    evidence: Evidence, scores: dict[str, float], decision: Decisions, bundle: Bundle, classifier: str
) -> Detection:
    clean, limits = bundle.clean_scores(classifier), bundle.limits_of(classifier)
    above = [name for name, passed in decision.above.items() if passed[0]]
    below = {name: sum(value < scores[name] for value in values) for name, values in clean.items() if name in scores}
    return Detection(
        scores=scores,
        thresholds=limits.thresholds,
        percentiles={name: 100 * count / len(clean[name]) for name, count in below.items()},
        flagged_by=tuple(name for name in above if name not in limits.altered),
        altered_by=tuple(name for name in above if name in limits.altered),
        asks_altered=bool(limits.altered),
        kept_borderline=bool(decision.kept_borderline[0]),
        reconstruction=evidence.reconstruction[0].cpu().numpy(),
        error_map=evidence.error_map[0].cpu().numpy(),
        attention_map=evidence.attention_map[0].cpu().numpy(),
        added_map=evidence.added_map[0].cpu().numpy(),
    )


def _record(step: PurifierStep) -> PurifyStep:
    assert step.noisy is not None and step.t is not None  # as in every step that starts from noise
    in_pixels = (step.noisy[0] + 1) / 2
    return PurifyStep(step.index, step.t, in_pixels.cpu().numpy(), step.estimate[0].cpu().numpy())
