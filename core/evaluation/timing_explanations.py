"""How long the experts of each mixture and their explanations take on this machine.

python -m core.evaluation.timing_explanations
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks import AttackSettings, attack_pixels
from core.bundles import Bundle, load_bundle
from core.explanation.attributions import METHODS, attribution, attribution_steps
from core.explanation.mixture import mixtures
from core.models.experts import MixtureOfExperts
from core.scans import load_scan, sample_scans
from core.scans.preparation import prepare

REPEATS = 5
WARM_UP = 1


def mixture_timings(bundle: Bundle) -> dict[str, str]:
    """Gate and all opinions, an attack, and the explanations, for every mixture of a bundle on a sample of its own."""
    sample = next(sample for sample in sample_scans(bundle.name) if sample.origin == "synthetic")
    scan = load_scan(sample.path)
    pixels = prepare(scan.frame(scan.default_frame), bundle.resolution, bundle.channels, scan.spacing)
    rows = {}
    for name in mixtures(bundle):
        mixture = bundle.classifiers[name]
        assert isinstance(mixture, MixtureOfExperts)
        with torch.no_grad():
            rows[f"{name}: gate and all opinions"] = _median(partial(mixture.opinions, pixels.to(compute.device())))
        rows[f"{name}: PGD-40"] = _median(partial(_attack, pixels, bundle, name))
        rows |= {f"{name}: {row}": time for row, time in explanation_timings(pixels[0].numpy(), mixture).items()}
    return rows


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


def _attack(pixels: Tensor, bundle: Bundle, classifier: str) -> None:
    for _ in attack_pixels(pixels, bundle, AttackSettings("pgd"), classifier=classifier):
        pass


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


def main() -> None:
    """Print the timings, one a line."""
    for name, value in mixture_timings(load_bundle()).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
