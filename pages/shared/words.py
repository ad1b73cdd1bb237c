"""Numbers and names as sentences for people."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core import Detection

PURIFIES_NOTHING = "The hardened policy purifies nothing."
# Links, emoji and icons are looked for after the escapes were taken out: only a sign between their parts stops that.
# This one takes no room and breaks no line.
_JOINER = "\u2060"
_TOGETHER = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
_ARROWS = re.compile(r"(?<=[-<>~])(?=[-=>])")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


@dataclass(frozen=True)
class ScoreWords:
    """A detection score in plain words: its name, what it asks, and what its axis shows."""

    name: str
    question: str
    axis: str


SCORES = {
    "mae_error": ScoreWords(
        "Reconstruction error",
        "How badly are hidden patches predicted from the patches around them?",
        "mean squared error (grey level²)",
    ),
    "amv": ScoreWords(
        "Attention variation",
        "How much does the network's attention move when the scan is lightly denoised?",
        "times what is usual",
    ),
    "agreement": ScoreWords(
        "Added signal",
        "How much do the autoencoder and the denoiser both hold to be foreign to the scan?",
        "times what is usual",
    ),
    "instability": ScoreWords(
        "Decision instability",
        "How much does the classifier's answer change when the scan is denoised?",
        "Jensen-Shannon divergence (nats)",
    ),
}


def score_words(name: str) -> ScoreWords:
    """Words for a score; a score that a later method adds is shown by its own name."""
    return SCORES.get(name, ScoreWords(name.replace("_", " ").capitalize(), "", "score"))


def names_of(scores: Sequence[str]) -> str:
    """Scores in a sentence."""
    return " and ".join(score_words(name).name.lower() for name in scores)


def said_of(detection: Detection | None) -> str:
    """The detector's verdict in two or three words."""
    if detection is not None and detection.altered:
        return "Altered, flagged" if detection.flagged else "Altered, not flagged"
    return "Flagged" if detection is not None and detection.flagged else "Not flagged"


def plain(text: str) -> str:
    """Text from a file, with all that Markdown would read made harmless: it must not load, link or style anything."""
    apart = _ARROWS.sub(_JOINER, _TOGETHER.sub(_JOINER, text))
    return _MARKDOWN.sub(r"\\\1", apart)


def hover(text: str) -> str:
    """Text from a file for a chart, which reads tags, links among them."""
    return html.escape(text)


def heading(label: str) -> str:
    """A class name at the start of a line."""
    return label[:1].upper() + label[1:]


def percent(share: float) -> str:
    """A probability in per cent; never a 0 or 100 that was only rounded to."""
    if share > 0.999:
        return "over 99.9 %"
    if share < 0.001:
        return "under 0.1 %"
    return f"{100 * share:.1f} %"


def unbroken(text: str) -> str:
    """A sentence whose numbers stay with their per-cent signs at the end of a line."""
    return text.replace(" %", "\u00a0%")


def standing(percentile: float, count: int) -> str:
    """Where a score stands among `count` clean calibration scans."""
    if percentile >= 100:
        return f"higher than all {count} clean scans"
    if percentile <= 0:
        return f"lower than all {count} clean scans"
    return f"higher than {percentile:.1f} % of clean scans"


def number(value: float) -> str:
    """A score or limit in three digits."""
    return f"{value:.3g}"


def timings(seconds: Mapping[str, float]) -> str:
    """Stages and their times on one line."""
    stages = dict(seconds)
    total = stages.pop("total", None)
    parts = " · ".join(f"{stage} {time:.2f} s" for stage, time in stages.items())
    return f"{total:.2f} s ({parts})" if total is not None else parts


SPLITS = {"val": "validation", "train": "training", "test": "test"}
NORMS = {
    "linf": "ℓ∞: the largest change of a pixel",
    "l2": "ℓ2: the length of the whole change",
    "l1": "ℓ1: the sum of all changes",
}
_SIGNS = {"linf": "ℓ∞", "l2": "ℓ2", "l1": "ℓ1"}


def sign(norm: str) -> str:
    """A norm as it is written in papers."""
    return _SIGNS[norm]


def length(size: float, norm: str) -> str:
    """The size of a change in pixel units, as budgets are given: in 1/255 for ℓ∞."""
    return f"{number(255 * size)}/255" if norm == "linf" else number(size)


def kilobytes(size: float) -> str:
    """A size that is given in KB (1000 bytes)."""
    if size < 1:
        return f"{1000 * size:.0f} bytes"
    return f"{number(size)} KB" if size < 1000 else f"{number(size / 1000)} MB"


def decibels(psnr: float) -> str:
    """A peak signal-to-noise ratio."""
    return "no change" if psnr == float("inf") else f"{psnr:.1f} dB"


def counted(steps: int) -> str:
    """So many steps."""
    return "1 step" if steps == 1 else f"{steps:,} steps"


def duration(seconds: float) -> str:
    """A time that one waits for, no more exact than that."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def weight_text(weight: float) -> str:
    """A weight in per cent, whole numbers; what is there but small isn't called nothing."""
    return "under 1 %" if 0 < weight < 0.01 else f"{100 * weight:.0f} %"


def method_title(method: str) -> str:
    """The name of an attack or of a benign change in words."""
    from core.attacks import METHODS

    return METHODS[method].title.split(" (")[0] if method in METHODS else method
