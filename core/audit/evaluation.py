"""The whole defence over a data set, clean and attacked, never with a threshold that saw the image."""

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from core import compute
from core.attacks import ATTACKS
from core.attacks.gradient import Model
from core.audit.datasets import Dataset, image_digest
from core.audit.statistics import auc, auc_interval, bootstrap_interval, tpr_at_false_alarms
from core.bundles import Bundle, Calibration
from core.calibration import LADDER, Limits, fit_limits, folds
from core.detection import SCORES, gather_evidence
from core.pipeline import PURIFY_STEPS, choose_t
from core.purification.ddim import fixed_noise, purify_steps

Progress = Callable[[int], None]


@dataclass(frozen=True)
class AttackSettings:
    """How the attacker works; `method` None for no attack. Units as in `core.attacks.pgd`."""

    method: str | None = None
    eps: float = 8
    norm: str = "linf"
    steps: int = 40
    restarts: int = 1
    eot: int = 1
    severity: int = 1
    white_box: bool = False


@dataclass
class Answers:
    """What the pipeline answered, one entry an image: undefended and defended class (−1: refused), and evidence."""

    undefended: list[int] = field(default_factory=list)
    defended: list[int] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)
    refused: list[bool] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SCORES})
    scope: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def correct(self, labels: Tensor, defended: bool) -> np.ndarray:
        """(N,) 1.0 where the answer is the label; a refusal counts as wrong."""
        answers = self.defended if defended else self.undefended
        return (np.array(answers) == labels.numpy()).astype(float)


def evaluate(
    data: Dataset,
    bundle: Bundle,
    *,
    classifier: str | None = None,
    attack: AttackSettings = AttackSettings(),
    attack_bundle: Bundle | None = None,
    seed: int = 0,
    clean: Answers | None = None,
    progress: Progress = lambda images: None,
) -> dict[str, Any]:
    """Answer every image, clean and attacked, with and without the defence.

    Parameters
    ----------
    attack_bundle : Bundle, optional
        The same bundle in float32, for a white-box attack through the purifier.
    clean : Answers, optional
        Answers to the clean images from an earlier call on the same data, so that they aren't made again.
    progress : callable
        Called with the number of images done since the last call.

    Returns
    -------
    dict
        As declared in `core.schema.EVALUATE`, without `settings`.
    """
    name = bundle.classifier_name(classifier)
    limits = cross_fitted_limits(data, bundle, name)
    clean = clean or answer_clean(data, bundle, classifier=name, seed=seed, progress=progress)
    attacked = None
    if attack.method:
        attacked = Answers()
        target = attack_target(attack_bundle or bundle, name, attack, seed)
        for indices in batches(len(data)):
            pixels = run_attack(target, data.pixels[indices], data.labels[indices], attack, seed + int(indices[0]))
            _answer(attacked, pixels, data.pixels[indices], [limits[i] for i in indices], bundle, name, seed)
            progress(len(indices))
    return _summary(data, clean, attacked)


def answer_clean(
    data: Dataset,
    bundle: Bundle,
    *,
    classifier: str | None = None,
    seed: int = 0,
    progress: Progress = lambda images: None,
) -> Answers:
    """The pipeline's answers to the images as they are."""
    name = bundle.classifier_name(classifier)
    limits = cross_fitted_limits(data, bundle, name)
    answers = Answers()
    for indices in batches(len(data)):
        pixels = data.pixels[indices]
        _answer(answers, pixels, pixels, [limits[i] for i in indices], bundle, name, seed)
        progress(len(indices))
    return answers


def cross_fitted_limits(data: Dataset, bundle: Bundle, classifier: str) -> list[Limits]:
    """The limits for each image: fitted without its fold where it was a calibration scan, else the bundle's own."""
    calibration = bundle.calibrations[classifier]
    fold_of = dict(zip(calibration.digests, folds(calibration.groups)))
    fitted = {fold: _limits_without(fold, calibration) for fold in set(fold_of.values())}
    digests = (image_digest(pixels) for pixels in data.pixels)
    return [fitted[fold_of[digest]] if digest in fold_of else bundle.limits[classifier] for digest in digests]


def attack_target(bundle: Bundle, classifier: str, attack: AttackSettings, seed: int) -> Model:
    """What the attacker differentiates: the classifier alone, or purifier and classifier with fresh noise each call."""
    network = bundle.classifiers[classifier]
    if not attack.white_box:
        return network
    generator = torch.Generator().manual_seed(seed + 1)
    t_star = bundle.limits[classifier].ladder[-1][1]

    def defended(pixels: Tensor) -> Tensor:
        noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
        for step in purify_steps(pixels, t_star, PURIFY_STEPS, bundle.diffusion, noise):
            estimate = step.estimate
        return network(estimate)

    return defended


def run_attack(model: Model, pixels: Tensor, labels: Tensor, attack: AttackSettings, seed: int) -> Tensor:
    """(B, C, H, W) attacked pixels in [0, 1], on the CPU."""
    place = compute.device()
    steps = ATTACKS[attack.method](
        model,
        pixels.to(place),
        labels.to(place),
        eps=attack.eps,
        norm=attack.norm,
        steps=attack.steps,
        restarts=attack.restarts,
        eot=attack.eot,
        severity=attack.severity,
        generator=torch.Generator().manual_seed(seed),
    )
    for step in steps:
        attacked = step.attacked
    return attacked.cpu()


def batches(count: int) -> list[np.ndarray]:
    """Indices in batches that suit the hardware: on a CPU the U-Net is fastest while a batch fits its cache."""
    size = 4 if compute.device().type == "cpu" else 128
    return np.array_split(np.arange(count), max(1, -(-count // size)))


def settings_record(
    data: Dataset, bundle: Bundle, classifier: str | None, attack: AttackSettings, split: str, seed: int, command: str
) -> dict[str, Any]:
    """Everything that is needed to run an evaluation again."""
    return {
        "command": command,
        "bundle": bundle.name,
        "classifier": bundle.classifier_name(classifier),
        "attack": asdict(attack),
        "data_sha256": data.sha256,
        "weights_sha256": dict(bundle.hashes),
        "split": split,
        "seed": seed,
        "device": compute.device().type,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "precision": str(compute.fast_dtype()).removeprefix("torch."),
        },
    }


@torch.no_grad()
def _answer(
    answers: Answers,
    pixels: Tensor,
    clean: Tensor,
    limits: list[Limits],
    bundle: Bundle,
    classifier: str,
    seed: int,
) -> None:
    start = time.perf_counter()
    network, place = bundle.classifiers[classifier], compute.device()
    pixels = pixels.to(place)
    evidence = gather_evidence(pixels, bundle, network, seed)
    scores = {name: values.tolist() for name, values in evidence.scores.items()}
    scope = evidence.scope_distance.tolist()
    flagged = [any(scores[s][i] > limit.thresholds[s] for s in SCORES) for i, limit in enumerate(limits)]
    refused = [scope[i] > limit.scope_limit for i, limit in enumerate(limits)]
    defended = evidence.logits.argmax(1)
    if any(flagged):
        chosen = torch.tensor([i for i, flag in enumerate(flagged) if flag])
        t_star = torch.tensor([choose_t(scores["amv"][i], limits[i]) for i in chosen.tolist()], device=place)
        estimate = _purified(pixels[chosen], t_star, bundle, seed)
        defended[chosen] = network(estimate).argmax(1)
    answers.seconds += time.perf_counter() - start
    if any(flagged):
        answers.ssim += [_ssim(a, b) for a, b in zip(estimate.cpu(), clean[chosen])]
    answers.undefended += evidence.logits.argmax(1).tolist()
    answers.defended += [-1 if no else label for no, label in zip(refused, defended.tolist())]
    answers.flagged += flagged
    answers.refused += refused
    answers.scope += scope
    for name, values in scores.items():
        answers.scores[name] += values


def _purified(pixels: Tensor, t_star: Tensor, bundle: Bundle, seed: int) -> Tensor:
    estimate = torch.empty_like(pixels)
    for t in t_star.unique().tolist():
        chosen = t_star == t
        noise = fixed_noise(pixels[chosen].shape, seed, pixels.device)
        for step in purify_steps(pixels[chosen], t, PURIFY_STEPS, bundle.diffusion, noise):
            estimate[chosen] = step.estimate
    return estimate


def _ssim(first: Tensor, second: Tensor) -> float:
    return float(structural_similarity(first.numpy(), second.numpy(), data_range=1, channel_axis=0))


def _limits_without(fold: int, calibration: Calibration) -> Limits:
    kept = folds(calibration.groups) != fold
    return fitted_limits(calibration, kept)


def fitted_limits(calibration: Calibration, kept: np.ndarray | slice = slice(None)) -> Limits:
    """The limits that the calibration scans in `kept` ask for."""

    def arrays(scores: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
        return {name: np.array(values)[kept] for name, values in scores.items()}

    benign = [arrays(scores) for scores in calibration.benign.values()]
    amv = {eps: arrays(calibration.attacked[f"pgd {eps}/255"])["amv"] for eps, _ in LADDER}
    return fit_limits(arrays(calibration.clean), benign, np.array(calibration.scope)[kept], amv)


def _summary(data: Dataset, clean: Answers, attacked: Answers | None) -> dict[str, Any]:
    measured = {
        "clean_accuracy": clean.correct(data.labels, defended=False),
        "defended_clean_accuracy": clean.correct(data.labels, defended=True),
        "flagged_clean": np.array(clean.flagged, dtype=float),
    }
    fooled = np.zeros(len(data), dtype=bool)
    if attacked:
        fooled = (measured["clean_accuracy"] == 1) & (attacked.correct(data.labels, defended=False) == 0)
        measured |= {
            "attacked_accuracy": attacked.correct(data.labels, defended=False),
            "defended_attacked_accuracy": attacked.correct(data.labels, defended=True),
            "flagged_attacked": np.array(attacked.flagged, dtype=float),
        }
    return {
        "n": len(data),
        "refused": sum(clean.refused),
        "refused_attacked": sum(attacked.refused) if attacked else None,
        **{
            name: float(measured[name].mean()) if name in measured else None
            for name in (
                "clean_accuracy",
                "attacked_accuracy",
                "defended_clean_accuracy",
                "defended_attacked_accuracy",
                "flagged_clean",
                "flagged_attacked",
            )
        },
        "intervals": {name: list(bootstrap_interval(values, data.groups)) for name, values in measured.items()},
        "detection": {
            name: _separation(np.array(clean.scores[name]), np.array(attacked.scores[name]), fooled, data.groups)
            for name in (SCORES if attacked else ())
        },
        "flagged_successful": float(np.array(attacked.flagged)[fooled].mean()) if fooled.any() else None,
        "ssim_purified": float(np.mean(attacked.ssim)) if attacked and attacked.ssim else None,
        "seconds_per_image": clean.seconds / len(data),
    }


def _separation(
    clean: np.ndarray, attacked: np.ndarray, fooled: np.ndarray, groups: tuple[str, ...]
) -> Mapping[str, Any]:
    return {
        "auc": auc(clean, attacked),
        "auc_interval": list(auc_interval(clean, attacked, groups)),
        "auc_successful": auc(clean, attacked[fooled]),
        "tpr_at_5_fpr": tpr_at_false_alarms(clean, attacked),
        "tpr_at_5_fpr_successful": tpr_at_false_alarms(clean, attacked[fooled]),
    }
