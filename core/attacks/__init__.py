"""One attack family a file; each attack is a generator of steps, on pixels in [0, 1], with ε in 1/255."""

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks.corruptions import SEVERITIES, corruption
from core.attacks.gradient import NORMS, AttackStep, fgsm, pgd
from core.bundles import Bundle
from core.preparation import prepare
from core.scans import Scan, Window, derived_dicom, load_scan

GRADIENT_ATTACKS = {"fgsm": fgsm, "pgd": pgd}
ATTACKS = GRADIENT_ATTACKS | {name: corruption(name) for name in SEVERITIES}

__all__ = ["ATTACKS", "NORMS", "AttackStep", "attack_pixels", "attack_scan", "describe_attack", "fgsm", "pgd"]


def attack_scan(
    scan: Scan,
    bundle: Bundle,
    *,
    method: str = "pgd",
    eps: float = 8,
    norm: str = "linf",
    steps: int = 40,
    restarts: int = 1,
    classifier: str | None = None,
    seed: int = 0,
    frame: int | None = None,
    window: Window | None = None,
) -> Scan:
    """Attack the classifier's own answer to a frame, as `window` shows it.

    Returns
    -------
    Scan
        At the bundle's resolution, 16 bits, marked as attacked; reading it back gives the same pixels.

    Raises
    ------
    ValueError
        Unknown method or a parameter out of range; one sentence.
    """
    pixels = prepare(scan.frame(frame, window), bundle.resolution, bundle.channels)
    attacked = attack_pixels(
        pixels,
        bundle,
        method=method,
        eps=eps,
        norm=norm,
        steps=steps,
        restarts=restarts,
        classifier=classifier,
        seed=seed,
    )
    description = describe_attack(method, eps, norm, steps, bundle.classifier_name(classifier), bundle.name)
    file = derived_dicom(displayable(attacked), kind="attacked", description=description, source=scan)
    return load_scan(file, name=f"{scan.name} (attacked)")


def describe_attack(method: str, eps: float, norm: str, steps: int, classifier: str, bundle: str) -> str:
    """What an attacked file says of itself. No file names: they may name a patient."""
    size = f"{eps:g}/255" if norm == "linf" else f"{eps:g}"
    length = "1 step" if method == "fgsm" else f"{steps} steps"
    return (
        f"Attacked on purpose: {method}, {norm}, eps {size}, {length}, against {classifier} of {bundle}. "
        "Not for diagnosis; Purescan is not a medical device."
    )


def attack_pixels(
    pixels: Tensor,
    bundle: Bundle,
    *,
    method: str,
    eps: float,
    norm: str,
    steps: int,
    restarts: int,
    classifier: str | None,
    seed: int,
) -> Tensor:
    """(1, C, H, W) pixels in [0, 1] → the same, attacked; parameters as for `attack_scan`."""
    if method not in GRADIENT_ATTACKS:
        raise ValueError(f"There is no attack named {method!r}; choose one of: {', '.join(GRADIENT_ATTACKS)}.")
    network = bundle.classifiers[bundle.classifier_name(classifier)]
    pixels = pixels.to(compute.device())
    with torch.no_grad():
        labels = network(pixels).argmax(1)
    generator = torch.Generator().manual_seed(seed)
    run = GRADIENT_ATTACKS[method](
        network, pixels, labels, eps=eps, norm=norm, steps=steps, restarts=restarts, generator=generator
    )
    for step in run:
        attacked = step.attacked
    return attacked.cpu()


def displayable(pixels: Tensor) -> np.ndarray:
    """(1, C, H, W) → (H, W), or (H, W, 3) where C is 3."""
    image = pixels[0].cpu().numpy()
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)
