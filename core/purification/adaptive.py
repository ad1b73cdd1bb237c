"""The rule of `core.defence.pipeline.examine`: as much noise as the scan's attention variation asks for."""

from collections.abc import Iterator

import torch
from torch import Tensor

from core.bundles import Bundle, diffusion_of
from core.detection.scores import gather_evidence
from core.purification.ddim import purify_steps
from core.purification.one_step import shared_noise
from core.purification.steps import PurifierStep


def adaptive(
    pixels: Tensor,
    bundle: Bundle,
    *,
    steps: int,
    generator: torch.Generator,
    seed: int,
    classifier: str,
    **_: object,
) -> Iterator[PurifierStep]:
    """Each image from the t* of the bundle's ladder; always, whether it is flagged or not.

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    seed : int
        That of the detector, so that t* is the one that `examine` takes.
    classifier : str
        Whose ladder.
    """
    levels = ladder_levels(pixels, bundle, classifier, seed)
    noise, diffusion = shared_noise(pixels, generator), diffusion_of(bundle)
    runs = {
        level: purify_steps(pixels[levels == level], level, steps, diffusion, noise[levels == level])
        for level in levels.unique().tolist()
    }
    for parts in zip(*runs.values()):
        noisy, estimate = torch.empty_like(pixels), torch.empty_like(pixels)
        for level, part in zip(runs, parts):
            noisy, estimate = (
                whole.index_put((levels == level,), values)
                for whole, values in ((noisy, part.noisy), (estimate, part.estimate))
            )
        yield PurifierStep(parts[0].index, parts[0].t if len(parts) == 1 else None, noisy, estimate)


@torch.no_grad()
def ladder_levels(pixels: Tensor, bundle: Bundle, classifier: str, seed: int) -> Tensor:
    """(B,) the t* that the bundle's ladder gives to each image."""
    scores = gather_evidence(pixels, bundle, bundle.classifiers[classifier], seed).scores["amv"]
    levels = [bundle.starting_limits(classifier).t_star(score) for score in scores.tolist()]
    return torch.tensor(levels, device=pixels.device)
