"""Which scans a bundle takes, and the one sentence for each that it doesn't."""

import numpy as np
from torch import Tensor

from core.bundles import Bundle
from core.defence.examination import Acquired, Examination
from core.scans import Scan

CLEARLY_COLOURED = 24 / 255  # difference between the channels of a pixel
MOST_COLOURED = 0.1  # of a grey scan's pixels
FEWEST_COLOURED = 0.05  # of a colour picture's pixels: of 7,680 stained blood cells each has at least 12 %
EMPTY_STEP = 0.1  # of the grey scale
LEAST_SHOWN = 0.01  # of a picture's pixels


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


def empty(pixels: np.ndarray) -> str | None:
    """Why (C, H, W) pixels in [0, 1] that hardly show anything are refused, in one sentence; None where they do.

    Training scans hold slices next to the head, so that by its content alone an empty one would be taken.
    """
    if (np.abs(pixels - np.median(pixels)) > EMPTY_STEP).mean() >= LEAST_SHOWN:
        return None
    return "The picture is empty, or all but empty: choose another slice, or another window."


def wrong_acquisition(exam: Examination, bundle: Bundle, source: str) -> str | None:
    """Why a slice of a plane or a sequence that the bundle isn't calibrated for is refused, in one sentence, or None.

    A bundle that declares none takes all, and what is unknown is taken. Only what is known from `source`, ``'tags'`` or
    ``'picture'``, counts: a picture is judged once it is known to be a scan of the kind, as a photograph has no plane.
    """
    for told, covered, kind in ((exam.plane, bundle.planes, "slices"), (exam.sequence, bundle.sequences, "scans")):
        if told and told.source == source and covered and told.name not in covered:
            return (
                f"Not a scan this model was made for: {_evidence(told)} {told.name}, and “{bundle.title}” has been "
                f"calibrated for {' or '.join(covered)} {kind} only."
            )
    return None


def _evidence(told: Acquired) -> str:
    if told.probability is None:
        return "the file's tags say"
    return f"the picture looks, with a probability of {told.probability:.0%},"


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
