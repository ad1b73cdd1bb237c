"""How long explanations take on this machine: the rows that `core.audit.timing` adds for a mixture."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from core.explanation import METHODS, attribution, attribution_steps
from core.models.experts import MixtureOfExperts

REPEATS = 5
WARM_UP = 1


def explanation_timings(pixels: np.ndarray, mixture: MixtureOfExperts) -> dict[str, str]:
    """Method → median over `REPEATS` warm runs, as text with its unit, of one expert and of all of them.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1] at the resolution of the mixture.
    """
    return {
        f"{facts.title}, {who}": _median(work)
        for method, facts in METHODS.items()
        for who, work in (
            ("one expert", partial(attribution, pixels, mixture.experts[0], method)),
            (f"all {len(mixture.experts)} experts", partial(_whole, pixels, mixture, method)),
        )
    }


def _whole(pixels: np.ndarray, mixture: MixtureOfExperts, method: str) -> None:
    for _ in attribution_steps(pixels, mixture, method):
        pass


def _median(work: Callable[[], object]) -> str:
    seconds = []
    for _ in range(WARM_UP + REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return f"{1000 * statistics.median(seconds[WARM_UP:]):.0f} ms"
