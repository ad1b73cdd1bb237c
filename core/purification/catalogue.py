"""Every purifier by name, with what it takes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core import compute
from core.bundles import FAMILY, Bundle, BundleError, family_of
from core.bundles.calibration import LADDER
from core.purification.adaptive import adaptive
from core.purification.ddim import PURIFY_STEPS
from core.purification.diffpure import ancestral, deterministic
from core.purification.filters import gaussian, jpeg, median, none
from core.purification.mae_pure import mae_pure, mae_pure_amv
from core.purification.mask_dit import mask_dit_pure
from core.purification.one_step import one_step, repeated
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep


class Purifier(NamedTuple):
    """One entry of the catalogue.

    title: its name in print, with its source; run: the generator; steps: its default number of steps; t: its default
    noise level, None where it adds no noise or chooses the level itself; takes: the fields of `PurifySettings` that
    it minds; needs: the parts of a `Bundle` that it works with.
    """

    title: str
    run: Callable[..., Iterator[PurifierStep]]
    steps: int = 1
    t: int | None = None
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_DESCENT = ("steps", "clip", "step_size")
_NOISY_DESCENT = ("t", *_DESCENT)
_UNET, _BOTH = ("diffusion",), ("mae", "diffusion")

PURIFIERS = {
    "adaptive": Purifier("Adaptive one-step, as Examine does", adaptive, PURIFY_STEPS, None, ("steps",), _BOTH),
    "one-step": Purifier("One-step denoising (Carlini et al. 2023)", one_step, 1, 60, ("t",), _UNET),
    "repeated": Purifier("Repeated one-step denoising", repeated, 3, 40, ("t", "steps"), _UNET),
    "diffpure": Purifier("DiffPure, DDPM (Nie et al. 2022)", ancestral, 100, 100, ("t", "steps"), _UNET),
    "diffpure-ddim": Purifier(
        "DiffPure, DDIM (Nie et al. 2022; Song et al. 2021)", deterministic, 4, 100, ("t", "steps"), _UNET
    ),
    "mae-pure": Purifier("MAE-Pure", mae_pure, 60, None, _DESCENT, ("mae",)),
    "mae-pure-amv": Purifier("MAE-Pure on attention variation", mae_pure_amv, 40, None, _DESCENT, _BOTH),
    "rmae-pure": Purifier("RMAE-Pure", partial(mae_pure, robust=True), 60, None, _DESCENT, ("robust_mae",)),
    "maskdit-pure": Purifier("MaskDiT-Pure", mask_dit_pure, 25, 25, _NOISY_DESCENT, ("mask_dit",)),
    "rmaskdit-pure": Purifier(
        "RMaskDiT-Pure", partial(mask_dit_pure, robust=True), 15, 25, _NOISY_DESCENT, ("robust_mask_dit",)
    ),
    "median": Purifier("Median, 3 × 3 pixels", median),
    "gaussian": Purifier("Gaussian blur, 1 pixel", gaussian),
    "jpeg": Purifier("JPEG, quality 75 (Dziugaite et al. 2016)", jpeg),
    "none": Purifier("None", none),
}


# Without it the U-Net keeps everything for a gradient that nobody asks for, and takes twice as long.
@torch.no_grad()
def purifier_steps(
    pixels: Tensor, bundle: Bundle, settings: PurifySettings, *, classifier: str | None = None, seed: int = 0
) -> Iterator[PurifierStep]:
    """Purify a batch, step by step.

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1]; no image's result depends on its neighbours.
    classifier : str, optional
        Whose ladder the adaptive rule climbs; the bundle's default where none is given.
    seed : int
        Draws every random number: same pixels, same settings, same seed, same result.

    Yields
    ------
    PurifierStep
        The last one's `estimate` is the result.

    Raises
    ------
    ValueError
        Unknown method or classifier, a parameter out of range, or a method that needs what the bundle lacks; one
        sentence.
    """
    purifier = find_purifier(settings)
    check_parts(settings, bundle)
    options = {name: getattr(settings, name) for name in ("clip", "step_size") if name in purifier.takes}
    yield from purifier.run(
        pixels.to(compute.device()),
        bundle,
        t=noise_level(settings),
        steps=longest_purification(settings),
        generator=torch.Generator().manual_seed(seed),
        seed=seed,
        classifier=bundle.classifier_name(classifier),
        **options,
    )


def purified_pixels(
    pixels: Tensor, bundle: Bundle, settings: PurifySettings, *, classifier: str | None = None, seed: int = 0
) -> Tensor:
    """(B, C, H, W) in [0, 1]: the last estimate of `purifier_steps`."""
    for step in purifier_steps(pixels, bundle, settings, classifier=classifier, seed=seed):
        estimate = step.estimate
    return estimate


def check_parts(settings: PurifySettings, bundle: Bundle) -> None:
    """BundleError, one sentence, where the bundle lacks a part that the purifier needs."""
    purifier = find_purifier(settings)
    if _usable(purifier, bundle):
        return
    if bundle.lacks:
        raise BundleError(bundle.lacks)
    for part in FAMILY.keys() & purifier.needs:
        family_of(bundle, part)


def usable_purifiers(bundle: Bundle) -> tuple[str, ...]:
    """The purifiers that need nothing which this bundle lacks."""
    return tuple(name for name, purifier in PURIFIERS.items() if _usable(purifier, bundle))


def _usable(purifier: Purifier, bundle: Bundle) -> bool:
    return all(getattr(bundle, part) is not None for part in purifier.needs)


def find_purifier(settings: PurifySettings) -> Purifier:
    """The entry of the catalogue; ValueError where there is none, or a parameter that it takes is out of range."""
    if settings.method not in PURIFIERS:
        raise ValueError(f"There is no purifier named {settings.method!r}; choose one of: {', '.join(PURIFIERS)}.")
    purifier = PURIFIERS[settings.method]
    if "t" in purifier.takes and settings.t is not None and not 1 <= settings.t <= 999:
        raise ValueError(f"t* must be between 1 and 999, not {settings.t}.")
    if "steps" in purifier.takes and settings.steps is not None:
        if settings.steps < 1:
            raise ValueError(f"The number of steps must be at least 1, not {settings.steps}.")
        if (most := most_steps(settings)) is not None and settings.steps > most:
            level = f"t* = {most}" if "t" in purifier.takes else f"{most}, the lowest t* that it may choose"
            raise ValueError(f"The number of steps must be between 1 and {level}, not {settings.steps}.")
    for field, name in (("clip", "The clip"), ("step_size", "The step size")):
        value = getattr(settings, field)
        if field in purifier.takes and value is not None and not 0 < value <= 255:
            raise ValueError(f"{name} must be above 0 and at most 255, not {value:g}.")
    return purifier


def most_steps(settings: PurifySettings) -> int | None:
    """The most steps that a purifier can take; None where its steps don't lead down from a noise level."""
    if settings.method == "adaptive":
        return min(t_star for _, t_star in LADDER)  # which of the levels it takes is known only with the scan
    if settings.method not in ("diffpure", "diffpure-ddim"):
        return None
    return PURIFIERS[settings.method].t if settings.t is None else settings.t


def noise_level(settings: PurifySettings) -> int | None:
    """The t* that a purifier starts from; None where it adds no noise or chooses the level itself."""
    purifier = find_purifier(settings)
    return settings.t if "t" in purifier.takes and settings.t is not None else purifier.t


def longest_purification(settings: PurifySettings) -> int:
    """The number of steps that a purifier will yield."""
    purifier = find_purifier(settings)
    if "steps" not in purifier.takes:
        return purifier.steps
    if settings.steps is not None:
        return settings.steps
    # A descent stays at its level; the others walk down from it.
    level = (noise_level(settings) if "clip" not in purifier.takes else None) or purifier.steps
    # The textbook walks every step of the chain.
    return level if settings.method == "diffpure" else min(purifier.steps, level)


def describe_purification(settings: PurifySettings, bundle: Bundle, t: int | None, seed: int) -> str:
    """What a purified file says of itself; `t`: the noise level that was taken.

    No file names: they may name a patient.
    """
    purifier, length = find_purifier(settings), longest_purification(settings)
    facts = [settings.method]
    facts += [f"t {t}"] if t is not None else []
    facts += [f"{length} step{'s' if length > 1 else ''}"]
    facts += [f"clip {settings.clip:g}/255"] if "clip" in purifier.takes else []
    return (
        f"An estimate of a scan before an attack: {', '.join(facts)}, seed {seed}, {bundle.name}. "
        "Not for diagnosis; Purescan is not a medical device."
    )
