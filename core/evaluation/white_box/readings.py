"""What the defence answers to an attacked scan, read in four ways, and what of it the attack has broken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.attacks import DefendedModel
from core.defence.decision import Decisions, decide
from core.models.diffusion import fixed_noise
from core.purification.ddim import PURIFY_STEPS, purify
from core.statistics import bootstrap_interval

DRAWS = 10
#: Reading → what it asks.
READINGS = {
    "single": "one draw of the purifier's noise",
    "worst": f"wrong at any of {DRAWS} resubmissions",
    "majority": f"the answer that most of {DRAWS} resubmissions give",
    "fixed": "noise that the attacker knows",
}


class Outcome(StrEnum):
    """What became of one attacked scan under one reading; a letter each, so that many of them make a word."""

    RIGHT = "."  # answered rightly, without alarm
    ALARM = "a"  # answered rightly, with an alarm
    REFUSED = "r"  # no answer, which would have been right
    REFUSED_WRONG = "R"  # no answer, which would have been wrong
    PASSED = "w"  # wrong, without alarm
    OVERCOME = "o"  # flagged, purified or kept as borderline, and wrong


#: Share in a report → the outcomes that it counts.
SHARES = {
    "accuracy": (Outcome.RIGHT, Outcome.ALARM),
    "passed_wrong": (Outcome.PASSED,),
    "flagged_wrong": (Outcome.OVERCOME,),
    "refused": (Outcome.REFUSED, Outcome.REFUSED_WRONG),
    "alarm_alone": (Outcome.ALARM, Outcome.REFUSED),
}
# The answer below a refusal: what gradients reached, whatever the scope check said of it.
RIGHT_BENEATH = (Outcome.RIGHT, Outcome.ALARM, Outcome.REFUSED)


@dataclass(frozen=True)
class ScanReading:
    """One attacked scan.

    undefended: whether the classifier alone is right; length: of the change, in units of ε, 0 where there is no attack;
    outcomes: reading → `Outcome`.
    """

    undefended: bool
    length: float
    outcomes: Mapping[str, str]


@torch.no_grad()
def read_scans(
    pixels: Tensor, labels: Tensor, model: DefendedModel, seeds: Sequence[int], readings: Sequence[str]
) -> tuple[NDArray[np.bool_], list[dict[str, str]]]:
    """Ask the defence about a batch as often as the readings need.

    The detector's noise is the model's throughout, so that flags are the same at every resubmission; the purifier's is
    drawn anew for every scan and every resubmission.

    Parameters
    ----------
    pixels, labels : Tensor
        (B, C, H, W) in [0, 1], and (B,) the true classes.
    seeds : sequence of int
        (B,) of each scan's own draws.
    readings : sequence of str
        Names in `READINGS`.

    Returns
    -------
    tuple
        (B,) whether the classifier alone is right, and for each scan reading → `Outcome`.
    """
    evidence = model.evidence(pixels)
    scores = {name: values.tolist() for name, values in evidence.scores.items()}
    certainty = evidence.logits.softmax(1).amax(1).tolist()
    made = decide(scores, certainty, evidence.scope_distance.tolist(), model.limits)
    own, truth = evidence.logits.argmax(1), labels.cpu().numpy()

    def answers(noise: Tensor) -> NDArray[np.int_]:
        return _answers(pixels, own, made, model, noise).cpu().numpy()

    drawn = np.zeros((0, len(pixels)), dtype=int)
    if set(readings) != {"fixed"}:
        each = [[DRAWS * seed + draw for seed in seeds] for draw in range(DRAWS)]
        drawn = np.stack([answers(fixed_noise(pixels.shape, one, pixels.device)) for one in each])
    right = {
        "single": lambda: drawn[0] == truth,
        "worst": lambda: (drawn == truth).all(0),
        "majority": lambda: _most(drawn) == truth,
        "fixed": lambda: answers(fixed_noise(pixels.shape, model.seed, pixels.device)) == truth,
    }
    found = {name: _outcomes(right[name](), made) for name in readings}
    outcomes = [{name: values[place] for name, values in found.items()} for place in range(len(pixels))]
    return own.cpu().numpy() == truth, outcomes


def _answers(pixels: Tensor, own: Tensor, made: Decisions, model: DefendedModel, noise: Tensor) -> Tensor:
    """(B,) classes, on the estimates from such noise where these are what is answered."""
    overruled, t_star = (torch.from_numpy(part).to(pixels.device) for part in (made.overruled, made.t_star))
    if not overruled.any():
        return own
    estimates = purify(pixels[overruled], t_star[overruled], PURIFY_STEPS, model.diffusion, noise[overruled])
    return own.index_put((overruled,), model.answering(estimates).argmax(1))


def _most(drawn: NDArray[np.int_]) -> NDArray[np.int_]:
    """(B,) the class that most of (draws, B) answers name; -1, which is no class, where two are named as often."""
    votes = np.stack([(drawn == name).sum(0) for name in range(drawn.max() + 1)])
    tied = (votes == votes.max(0)).sum(0) > 1
    return np.where(tied, -1, votes.argmax(0))


def _outcomes(right: NDArray[np.bool_], made: Decisions) -> list[str]:
    """(B,) the outcome of each scan."""
    table = {
        (True, False): Outcome.RIGHT,
        (True, True): Outcome.ALARM,
        (False, False): Outcome.PASSED,
        (False, True): Outcome.OVERCOME,
    }
    below = {True: Outcome.REFUSED, False: Outcome.REFUSED_WRONG}
    return [
        str(below[hit] if refused else table[hit, flagged])
        for hit, flagged, refused in zip(right.tolist(), made.flagged.tolist(), made.refused.tolist())
    ]


def is_one_of(outcomes: str, wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Return (N,) whether each scan's outcome is one of these."""
    return np.array([letter in wanted for letter in outcomes])


def reading_report(outcomes: str, groups: Sequence[str]) -> dict[str, Any]:
    """Return the shares of `SHARES` with their 95 % intervals over groups, and the outcomes themselves.

    outcomes: a letter a scan; groups: (N,) near-duplicate group of each.
    """
    counted = {name: is_one_of(outcomes, letters) for name, letters in SHARES.items()}
    return {
        **{name: float(values.mean()) for name, values in counted.items()},
        "intervals": {name: list(bootstrap_interval(values, groups)) for name, values in counted.items()},
        "outcomes": outcomes,
    }
