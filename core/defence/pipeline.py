"""The one path of a scan: prepare → detect → (purify) → classify; a bundle of classifiers alone has no more to do."""

import time

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.bundles import Bundle
from core.bundles.calibration import choose_t
from core.defence.examination import Detection, Examination, Prediction, Purification, PurifyStep
from core.detection.scores import Evidence, gather_evidence
from core.purification.ddim import fixed_noise, purify_steps
from core.purification.steps import PurifierStep
from core.scans import Scan, Window
from core.scans.preparation import prepare

PURIFY_STEPS = 1
CLEARLY_COLOURED = 24 / 255  # difference between the channels of a pixel
MOST_COLOURED = 0.1  # of a grey scan's pixels
FEWEST_COLOURED = 0.05  # of a colour picture's pixels: of 7,680 stained blood cells each has at least 12 %


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
    network, limits = bundle.classifiers[name], None if bundle.lacks else bundle.limits_of(name)
    index = scan.default_frame if frame is None else frame
    shown = scan.frame(index, window)
    pixels = prepare(shown, bundle.resolution, bundle.channels).to(compute.device())
    facts = {"file": scan.name, "bundle": bundle.name, "frame_index": index, "frame": shown, "seed": seed}
    facts |= {"pixels": pixels[0].cpu().numpy(), "scope_limit": limits and limits.scope_limit}
    watch.lap("prepare")
    if reason := wrong_kind(scan, shown, bundle):
        nothing = dict.fromkeys(("undefended", "prediction", "detection", "purification", "scope_distance"))
        return Examination(**facts, **nothing, refused=reason, seconds=watch.finish())
    if limits is None:
        logits = network(pixels)
        answer = _prediction(logits, bundle, name)
        watch.lap("classify")
        if reason := not_finite(logits):
            nothing = dict.fromkeys(("prediction", "detection", "purification", "scope_distance"))
            return Examination(**facts, **nothing, undefended=answer, refused=reason, seconds=watch.finish())
        nothing = dict.fromkeys(("detection", "purification", "scope_distance", "refused"))
        return Examination(**facts, **nothing, undefended=answer, prediction=answer, seconds=watch.finish())

    evidence = gather_evidence(pixels, bundle, network, seed)
    undefended = _prediction(evidence.logits, bundle, name)
    detection = _detection(evidence, bundle, undefended)
    distance = evidence.scope_distance.item()
    facts |= {"undefended": undefended, "detection": detection, "scope_distance": distance}
    watch.lap("detect")
    measured = (evidence.logits, evidence.scope_distance, *evidence.scores.values())
    if reason := not_finite(*measured) or out_of_scope(distance, limits.scope_limit, bundle.title):
        return Examination(**facts, prediction=None, purification=None, refused=reason, seconds=watch.finish())
    if not detection.flagged:
        return Examination(**facts, prediction=undefended, purification=None, refused=None, seconds=watch.finish())

    t_star = choose_t(detection.scores["amv"], limits)
    noise = fixed_noise(pixels.shape, seed, pixels.device)
    steps = tuple(purify_steps(pixels, t_star, PURIFY_STEPS, bundle.diffusion, noise))
    watch.lap("purify")
    answer = _prediction(network(steps[-1].estimate), bundle, name)
    watch.lap("classify")
    purification = Purification(t_star, tuple(_record(step) for step in steps), answer)
    prediction = undefended if detection.borderline else answer
    return Examination(**facts, prediction=prediction, purification=purification, refused=None, seconds=watch.finish())


def wrong_kind(scan: Scan, frame: np.ndarray, bundle: Bundle) -> str | None:
    """Why a scan of another modality, or in colour for a grey bundle, or grey for a colour one, is refused, or None."""
    accepted = bundle.modalities or (bundle.written_modality,)
    if scan.modality is not None and scan.modality not in accepted:
        wanted = " or ".join(bundle.modalities) or "pictures that state none"
        return (
            f"Not a scan this model was made for: the file says modality {scan.modality}, "
            f"and “{bundle.title}” takes {wanted} only."
        )
    if bundle.channels == 1 and is_colourful(frame):
        return f"Not a scan this model was made for: it is in colour, and “{bundle.title}” takes grey scans only."
    if bundle.channels == 3 and not is_colourful(frame, FEWEST_COLOURED):
        return f"Not a picture this model was made for: it is grey, and “{bundle.title}” takes colour pictures only."
    return None


def is_colourful(frame: np.ndarray, share: float = MOST_COLOURED) -> bool:
    """Whether more than this share of a frame's pixels are clearly coloured.

    Grey scans saved as JPEG carry a little chroma noise, and many a coloured mark; neither makes a photograph.
    """
    return frame.ndim == 3 and float((np.ptp(frame, axis=-1) > CLEARLY_COLOURED).mean()) > share


def out_of_scope(distance: float, limit: float, title: str) -> str | None:
    """Why a scan far from the bundle's training scans is refused, in one sentence; None where it isn't."""
    if distance <= limit:
        return None
    return (
        f"Not a scan this model was made for: its content is {distance / limit:.1f} times as far from the scans "
        f"behind “{title}” as is accepted."
    )


def not_finite(*values: Tensor) -> str | None:
    """Why a scan on which the networks give NaN or infinity gets no label, in one sentence; None where they don't."""
    if all(value.isfinite().all() for value in values):
        return None
    return (
        "The networks gave NaN or infinity for this scan, which sound memory doesn't do; load the bundle again, and if "
        "it stays so, restore its files from the repository."
    )


def _prediction(logits: Tensor, bundle: Bundle, classifier: str) -> Prediction:
    probabilities = logits[0].softmax(0).tolist()
    return Prediction(classifier, dict(zip(bundle.classes, probabilities)))


def _detection(evidence: Evidence, bundle: Bundle, undefended: Prediction) -> Detection:
    scores = {name: values[0].item() for name, values in evidence.scores.items()}
    clean, limits = bundle.calibrations[undefended.classifier].clean, bundle.limits_of(undefended.classifier)
    below = {name: sum(value < score for value in clean[name]) for name, score in scores.items()}
    return Detection(
        scores=scores,
        thresholds=limits.thresholds,
        percentiles={name: 100 * count / len(clean[name]) for name, count in below.items()},
        borderline=limits.lets_stand(undefended.confidence, scores["instability"]),
        reconstruction=evidence.reconstruction[0].cpu().numpy(),
        error_map=evidence.error_map[0].cpu().numpy(),
        attention_map=evidence.attention_map[0].cpu().numpy(),
    )


def _record(step: PurifierStep) -> PurifyStep:
    in_pixels = (step.noisy[0] + 1) / 2
    return PurifyStep(step.index, step.t, in_pixels.cpu().numpy(), step.estimate[0].cpu().numpy())
