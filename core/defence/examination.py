"""What one pass through the pipeline produced. Every page and every command is a view of these records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """One classifier's answer.

    Attributes
    ----------
    classifier : str
        Name in the bundle, such as ``resnet18``.
    probabilities : mapping of str to float
        Softmax per class, in the bundle's class order; sums to 1.
    """

    classifier: str
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Probability of `label`, in [0, 1]."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Detection:
    """The evidence for and against an attack.

    Attributes
    ----------
    scores, thresholds : mapping of str to float
        ``mae_error`` (mean squared error, pixel units²), ``amv`` (attention variation, times what is usual for such
        content) and ``instability`` (Jensen-Shannon divergence, nats); a score above its threshold flags the scan.
    percentiles : mapping of str to float
        Share in percent of the clean calibration scans whose score is lower, in [0, 100].
    flagged_by : tuple of str
        The scores that are above their thresholds.
    kept_borderline : bool
        Flagged, and the classifier's answer is kept all the same, as it is borderline
        (`core.bundles.calibration.Borderline`).
    reconstruction : ndarray
        (C, H, W) in [0, 1]: every patch as the MAE predicted it while that patch was hidden.
    error_map : ndarray
        (H, W) absolute reconstruction error, mean over channels, pixel units.
    attention_map : ndarray
        (rows, columns), one value a patch: how much the attention paid by this patch moves under a light denoise.
    """

    scores: Mapping[str, float]
    thresholds: Mapping[str, float]
    percentiles: Mapping[str, float]
    flagged_by: tuple[str, ...]
    kept_borderline: bool
    reconstruction: np.ndarray
    error_map: np.ndarray
    attention_map: np.ndarray

    @property
    def flagged(self) -> bool:
        """Whether any score is above its threshold."""
        return bool(self.flagged_by)


@dataclass(frozen=True)
class PurifyStep:
    """One step of a purifier.

    Attributes
    ----------
    index : int
        0, 1, …
    t : int
        Diffusion step that `noisy` stands at, in [0, 999].
    noisy : ndarray
        (C, H, W) the noisy image in pixel units; leaves [0, 1] by as much as the noise does.
    estimate : ndarray
        (C, H, W) the estimate of the clean image at this step, in [0, 1].
    """

    index: int
    t: int
    noisy: np.ndarray
    estimate: np.ndarray


@dataclass(frozen=True)
class Purification:
    """What the purifier did, and the classifier's answer to it; `steps` holds at least one step."""

    t_star: int
    steps: tuple[PurifyStep, ...]
    answer: Prediction

    @property
    def estimate(self) -> np.ndarray:
        """(C, H, W) in [0, 1]: the last estimate."""
        return self.steps[-1].estimate


@dataclass(frozen=True)
class Examination:
    """Everything that one pass over one scan produced.

    Attributes
    ----------
    file, bundle : str
        Names of the scan and of the bundle.
    frame_index : int
        Which frame (slice) of the scan was examined.
    frame : ndarray
        (H, W) or (H, W, 3) in [0, 1]: that frame, windowed, at the scan's own resolution.
    pixels : ndarray
        (C, H, W) in [0, 1]: what the models saw, at the bundle's resolution.
    undefended : Prediction
        The classifier on `pixels`, with no defence.
    prediction : Prediction or None
        The decision: the classifier on the purified estimate where the scan was flagged and its answer isn't
        borderline, else `undefended`. None where the scan is refused.
    detection : Detection or None
        None where the scan is refused before any score is computed (another modality, colour for a grey bundle or grey
        for a colour one), or where the bundle can detect nothing (`core.Bundle.lacks`).
    purification : Purification or None
        None where nothing was flagged, or the scan is refused, or there is no detection.
    refused : str or None
        One sentence: why this scan gets no label.
    scope_distance, scope_limit : float or None
        How far the scan is from the bundle's calibration scans, and how far is too far; None where nobody can tell.
    seconds : mapping of str to float
        Wall-clock time per stage: prepare, detect, purify, classify, total.
    seed : int
        Seed of all the randomness of this pass.
    """

    file: str
    bundle: str
    frame_index: int
    frame: np.ndarray
    pixels: np.ndarray
    seed: int
    undefended: Prediction | None = None
    prediction: Prediction | None = None
    detection: Detection | None = None
    purification: Purification | None = None
    refused: str | None = None
    scope_distance: float | None = None
    scope_limit: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The decision's class; None where refused."""
        return self.prediction.label if self.prediction else None

    @property
    def kept_borderline(self) -> bool:
        """Whether the answer to the scan itself is the decision although the scan is flagged."""
        return self.purification is not None and self.detection is not None and self.detection.kept_borderline
