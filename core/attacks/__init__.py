"""One attack family a file; each attack is a generator of steps, on pixels in [0, 1], with ε in 1/255."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks.catalogue import ATTACKS, CORRUPTIONS, METHODS, Attack
from core.attacks.defended_model import DefendedModel
from core.attacks.gradient import NORMS, AttackStep, Model
from core.attacks.settings import AttackSettings
from core.bundles import Bundle
from core.defence.scope import wrong_kind
from core.scans import Scan, Window, derived_dicom, load_scan
from core.scans.preparation import prepare

__all__ = [
    "ATTACKS",
    "CORRUPTIONS",
    "METHODS",
    "NORMS",
    "Attack",
    "AttackSettings",
    "AttackStep",
    "DefendedModel",
    "attack_pixels",
    "attack_scan",
    "attack_steps",
    "attack_target",
    "attacked_scan",
    "attackable_pixels",
    "describe_attack",
    "displayable",
    "find_method",
    "longest_run",
    "sees_defence",
]

PGD = AttackSettings("pgd")


def attack_scan(
    scan: Scan,
    bundle: Bundle,
    settings: AttackSettings = PGD,
    *,
    classifier: str | None = None,
    seed: int = 0,
    detector_seed: int | None = None,
    frame: int | None = None,
    window: Window | None = None,
    watch: Callable[[AttackStep], object] | None = None,
) -> Scan:
    """Attack the classifier's own answer to a frame, as `window` shows it; `watch` is given every step.

    The seeds are those of `attack_pixels`.

    Returns
    -------
    Scan
        At the bundle's resolution, 16 bits, marked as attacked; reading it back gives the same pixels.

    Raises
    ------
    ValueError
        Unknown method, a parameter out of range, or a scan that the bundle doesn't take; one sentence.
    """
    pixels = attackable_pixels(scan, bundle, frame, window)
    steps = attack_pixels(pixels, bundle, settings, classifier=classifier, seed=seed, detector_seed=detector_seed)
    for step in steps:
        last = step
        if watch:
            watch(step)
    return attacked_scan(scan, last.attacked, bundle, settings, last.index + 1, classifier=classifier)


def attackable_pixels(scan: Scan, bundle: Bundle, frame: int | None = None, window: Window | None = None) -> Tensor:
    """(1, C, H, W) what the bundle's networks see of a frame; ValueError where the bundle doesn't take such scans."""
    shown = scan.frame(frame, window)
    if reason := wrong_kind(scan, shown, bundle):
        raise ValueError(reason)
    return prepare(shown, bundle.resolution, bundle.channels, scan.spacing)


def attack_pixels(
    pixels: Tensor,
    bundle: Bundle,
    settings: AttackSettings,
    *,
    classifier: str | None = None,
    seed: int = 0,
    detector_seed: int | None = None,
) -> Iterator[AttackStep]:
    """Attack the classifier's own answer to (1, C, H, W) pixels in [0, 1], step by step.

    Parameters
    ----------
    bundle : Bundle
        Float32 gives finer gradients where `sees_defence(settings)`.
    seed : int
        Draws the attack's random numbers: same pixels, same settings, same seeds, same result.
    detector_seed : int, optional
        The seed that `examine` will be asked with: whoever attacks the defence faces its noise. `seed` where None.
    """
    name = bundle.classifier_name(classifier)
    pixels = pixels.to(compute.device())
    with torch.no_grad():
        labels = bundle.classifiers[name](pixels).argmax(1)
    target = attack_target(bundle, name, settings, seed if detector_seed is None else detector_seed)
    yield from attack_steps(target, pixels, labels, settings, seed)


def attack_target(
    bundle: Bundle, classifier: str, settings: AttackSettings, seed: int = 0, known_noise: bool = False
) -> Model:
    """What the attacker faces: the classifier alone, or the whole defence, whose noise may be known.

    seed: of the defence's noise, as `DefendedModel` takes it.
    """
    if sees_defence(settings):
        return DefendedModel(bundle, classifier, seed, settings.method == "bpda", known_noise)
    return bundle.classifiers[classifier]


def sees_defence(settings: AttackSettings) -> bool:
    """Whether the whole defence is attacked; its gradients are then finer in float32."""
    return settings.white_box or (settings.method in ATTACKS and ATTACKS[settings.method].sees_defence)


def attack_steps(
    model: Model, pixels: Tensor, labels: Tensor, settings: AttackSettings, seed: int
) -> Iterator[AttackStep]:
    """Run an attack, or a benign change, on a batch.

    Parameters
    ----------
    model : callable
        (B, C, H, W) in [0, 1] → (B, classes) logits; see `attack_target`.
    pixels, labels : Tensor
        (B, C, H, W) in [0, 1], and (B,) the classes to get away from.

    Raises
    ------
    ValueError
        Unknown method, or a parameter out of range; one sentence.
    """
    method = find_method(settings)
    options = {name: getattr(settings, name) for name in method.takes if getattr(settings, name) is not None}
    if method.norms:
        options["norm"] = settings.norm
    generator = torch.Generator().manual_seed(seed)
    yield from method.run(model, pixels, labels, eps=settings.eps, generator=generator, **options)


def find_method(settings: AttackSettings) -> Attack:
    """The entry of the catalogue; ValueError where there is none, or it doesn't know the norm."""
    if settings.method not in METHODS:
        raise ValueError(f"There is no attack named {settings.method!r}; choose one of: {', '.join(METHODS)}.")
    method = METHODS[settings.method]
    if method.norms and settings.norm not in method.norms:
        known = ", ".join(method.norms)
        raise ValueError(f"{settings.method} has no norm named {settings.norm!r}; choose one of: {known}.")
    return method


def longest_run(settings: AttackSettings, classes: int = 2) -> int:
    """The most steps that an attack will yield on a model of so many classes."""
    method = find_method(settings)
    own = settings.steps if settings.steps and "steps" in method.takes else method.steps_in(settings.norm)
    attempt = method.yields(own, settings.norm, classes) if method.yields else own
    return attempt * (settings.restarts if "restarts" in method.takes else 1)


def attacked_scan(
    scan: Scan, attacked: Tensor, bundle: Bundle, settings: AttackSettings, taken: int, *, classifier: str | None = None
) -> Scan:
    """(1, C, H, W) attacked pixels → a scan of 16 bits that says how it was made; `taken`: in so many steps."""
    description = describe_attack(settings, bundle, taken, classifier=classifier)
    file = derived_dicom(
        displayable(attacked),
        kind="attacked",
        description=description,
        modality=bundle.written_modality,
        source=scan,
        prepared=True,
    )
    return load_scan(file, name=f"{scan.name} (attacked)")


def describe_attack(settings: AttackSettings, bundle: Bundle, taken: int, *, classifier: str | None = None) -> str:
    """What an attacked file says of itself; `taken`: the steps that the attack yielded, be it that it ended early.

    No file names: they may name a patient.
    """
    method = find_method(settings)
    facts = [str(settings.method)]
    if method.norms:
        facts += [settings.norm, f"eps {settings.eps:g}{'/255' if settings.norm == 'linf' else ''}"]
    if "severity" in method.takes:
        facts += [f"severity {settings.severity}"]
    else:
        # Where it ended early its whole length counts, too: step sizes and schedules depend on that.
        most = longest_run(settings, len(bundle.classes))
        facts += [f"{taken} of at most {most} steps" if taken < most else f"{taken} step{'s' if taken > 1 else ''}"]
    target, name = "the defence around " if sees_defence(settings) else "", bundle.classifier_name(classifier)
    return (
        f"Attacked on purpose: {', '.join(facts)}, against {target}{name} of {bundle.name}. "
        "Not for diagnosis; Purescan is not a medical device."
    )


def displayable(pixels: Tensor) -> np.ndarray:
    """(1, C, H, W) → (H, W), or (H, W, 3) where C is 3."""
    image = pixels[0].cpu().numpy()
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)
