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
class Acquired:
    """How a slice was acquired in one respect, its plane or its sequence.

    Attributes
    ----------
    name : str
        One of `core.scans.geometry.PLANES`, or of `core.scans.dicom.acquisition.SEQUENCES`.
    source : str
        ``'tags'`` of the file, or ``'picture'``: judged by a network.
    probability : float or None
        That network's, in (0, 1]; None from tags.
    """

    name: str
    source: str
    probability: float | None = None


@dataclass(frozen=True)
class Detection:
    """The evidence for and against an attack.

    Attributes
    ----------
    scores, thresholds : mapping of str to float
        ``mae_error`` (mean squared error, pixel units²), ``amv`` and ``agreement`` (attention variation and agreement,
        times what is usual for such content) and ``instability`` (Jensen-Shannon divergence, nats). A score above its
        threshold flags the scan, or says that it is altered; one without a threshold does neither.
    percentiles : mapping of str to float
        Share in percent of the clean calibration scans whose score is lower, in [0, 100]; of a classifier that was
        added (`Bundle.added`) without instability, which nobody has recorded.
    flagged_by, altered_by : tuple of str
        The scores that are above their thresholds, by the question that they answer.
    asks_altered : bool
        Whether the bundle tells what is altered from what is misleading; if not, all its scores raise the alarm.
    kept_borderline : bool
        Purified, and the classifier's answer is kept all the same, as it is borderline
        (`core.bundles.calibration.Borderline`).
    reconstruction : ndarray
        (C, H, W) in [0, 1]: every patch as the MAE predicted it while that patch was hidden.
    error_map : ndarray
        (H, W) absolute reconstruction error, mean over channels, pixel units.
    attention_map : ndarray
        (rows, columns), one value a patch: how much the attention paid by this patch moves under a light denoise.
    added_map : ndarray
        (rows, columns), one value a patch: how much autoencoder and denoiser both hold to have been added about there,
        pixel units.
    """

    scores: Mapping[str, float]
    thresholds: Mapping[str, float]
    percentiles: Mapping[str, float]
    flagged_by: tuple[str, ...]
    kept_borderline: bool
    reconstruction: np.ndarray
    error_map: np.ndarray
    attention_map: np.ndarray
    added_map: np.ndarray
    altered_by: tuple[str, ...] = ()
    asks_altered: bool = False

    @property
    def flagged(self) -> bool:
        """Whether there is an alarm: the answer may hang on what was done to the scan."""
        return bool(self.flagged_by)

    @property
    def altered(self) -> bool | None:
        """Whether something was added to the pixels, be it noise or an attack; None where the bundle doesn't ask."""
        return bool(self.altered_by) if self.asks_altered else None


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
        The decision: the classifier on the purified estimate where the scan was purified and its answer isn't
        borderline, else `undefended`. None where the scan is refused.
    detection : Detection or None
        None where the scan is refused before any score is computed (another modality, plane or sequence by its tags,
        colour for a grey bundle or grey for a colour one), or where the bundle can detect nothing
        (`core.Bundle.lacks`).
    purification : Purification or None
        None where the scan is neither flagged nor altered, or is refused, where limits don't purify, or there is no
        detection.
    refused : str or None
        One sentence: why this scan gets no label.
    scope_distance, scope_limit : float or None
        How far the scan is from the bundle's calibration scans, and how far is too far; None where nobody can tell.
    plane, sequence : Acquired or None
        Which way the slice was cut and how its tissues are weighted; None where nothing tells.
    spacing : tuple of float or None
        That of the scan (`Scan.spacing`): by it `pixels` were made from `frame`.
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
    plane: Acquired | None = None
    sequence: Acquired | None = None
    spacing: tuple[float, float, float] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The decision's class; None where refused."""
        return self.prediction.label if self.prediction else None

    @property
    def flagged(self) -> bool:
        """Whether there is an alarm."""
        return self.detection is not None and self.detection.flagged

    @property
    def kept_borderline(self) -> bool:
        """Whether the answer to the scan itself is the decision although the scan is purified."""
        return self.purification is not None and self.detection is not None and self.detection.kept_borderline

    @property
    def left_alone(self) -> bool:
        """Whether something was found and nothing purified: the hardened policy answers every scan as it is."""
        found = self.detection is not None and (self.detection.flagged or bool(self.detection.altered))
        return found and self.purification is None and self.refused is None

    @property
    def decided_on(self) -> np.ndarray:
        """(C, H, W) in [0, 1]: what the decision was made on, the purified estimate or what the models saw."""
        return self.purification.estimate if self.purification and not self.kept_borderline else self.pixels
