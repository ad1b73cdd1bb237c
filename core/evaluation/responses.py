"""What the networks answer to the images of a data set, clean and attacked; answers are kept as they come."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from core import compute
from core.attacks import AttackSettings, attack_steps, attack_target, find_method
from core.bundles import Bundle, diffusion_of
from core.bundles.calibration import LADDER, Responses
from core.detection.scores import DetectorFeatures, evidence_for, gather_features
from core.evaluation.datasets import Dataset
from core.evaluation.journal import Journal
from core.models.diffusion import fixed_noise
from core.purification.catalogue import purified_pixels
from core.purification.ddim import PURIFY_STEPS, purify
from core.purification.settings import PurifySettings

Progress = Callable[[int], None]
CLEAN = AttackSettings()
ADAPTIVE = PurifySettings()


class Notebook:
    """Answers in a file of JSON lines, a batch a line, so that a run that was cut off goes on where it stopped.

    Parameters
    ----------
    path : Path or None
        Nothing is written or remembered where None.
    run : mapping
        What the answers depend on; a file of another run is refused with a ValueError.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any] | None = None):
        self._known: dict[tuple[str, int], Responses] = {}
        self._journal = None if path is None else Journal(path, run or {})
        for line in self._journal.lines if self._journal else ():
            self._known[line["pass"], line["first"]] = Responses.from_json(line["responses"])

    def find(self, name: str, first: int) -> Responses | None:
        """What is known of the batch that begins at image `first`."""
        return self._known.get((name, first))

    def add(self, name: str, first: int, responses: Responses) -> None:
        """Remember a batch."""
        if self._journal:
            self._journal.add({"pass": name, "first": first, "responses": asdict(responses)})


def collect(
    data: Dataset,
    bundle: Bundle,
    classifier: str,
    attack: AttackSettings,
    *,
    purifier: PurifySettings = ADAPTIVE,
    seed: int = 0,
    notebook: Notebook | None = None,
    progress: Progress = lambda images: None,
) -> Responses:
    """What the networks answer to the images, attacked as `attack` says."""
    notebooks = {classifier: notebook or Notebook(None)}
    return collect_all(data, bundle, notebooks, attack, purifier=purifier, seed=seed, progress=progress)[classifier]


def collect_all(
    data: Dataset,
    bundle: Bundle,
    notebooks: Mapping[str, Notebook],
    attack: AttackSettings,
    *,
    purifier: PurifySettings = ADAPTIVE,
    seed: int = 0,
    progress: Progress = lambda images: None,
) -> dict[str, Responses]:
    """The same for several classifiers at once, by name; an attacker faces the first of them.

    Detector and purifier are the costly part, and all classifiers share what they make of a scan.
    """
    if attack.method:
        find_method(attack)
    parts: dict[str, list[Responses]] = {name: [] for name in notebooks}
    for indices in batches(len(data)):
        first, kind = int(indices[0]), "attacked" if attack.method else "clean"
        known = {name: notebook.find(kind, first) for name, notebook in notebooks.items()}
        found = {name: part for name, part in known.items() if part is not None}
        if unknown := [name for name in notebooks if name not in found]:
            before = data.pixels[indices].to(compute.device())
            after = before
            if attack.method:
                # The detector's noise is that which it will be asked with; random starts differ from batch to batch.
                target = attack_target(bundle, next(iter(notebooks)), attack, seed)
                labels = data.labels[indices].to(before.device)
                for step in attack_steps(target, before, labels, attack, seed + first):
                    after = step.attacked
            for name, part in respond_all(after, before, bundle, unknown, seed, purifier).items():
                found[name] = part
                notebooks[name].add(kind, first, part)
        for name, part in found.items():
            parts[name].append(part)
        progress(len(indices))
    return {name: Responses.joined(answers) for name, answers in parts.items()}


def respond(
    pixels: Tensor,
    before: Tensor,
    bundle: Bundle,
    classifier: str,
    seed: int,
    purifier: PurifySettings = ADAPTIVE,
) -> Responses:
    """What the networks answer to (B, C, H, W) pixels in [0, 1]; `before` is the same before any change.

    A purifier that knows no ladder gives the same estimate at each of its t*.
    """
    return respond_all(pixels, before, bundle, [classifier], seed, purifier)[classifier]


@torch.no_grad()
def respond_all(
    pixels: Tensor,
    before: Tensor,
    bundle: Bundle,
    classifiers: Sequence[str],
    seed: int,
    purifier: PurifySettings = ADAPTIVE,
) -> dict[str, Responses]:
    """The same for several classifiers, by name; where there is no defence for any of them their answers alone."""
    if any(bundle.lacks_for(name) for name in classifiers):
        return {name: _answers_alone(bundle.classifiers[name], pixels) for name in classifiers}
    start = time.perf_counter()
    features = gather_features(pixels, bundle, seed)
    detected = time.perf_counter()
    estimates = _estimates(pixels, bundle, classifiers[0], seed, purifier)
    purified = time.perf_counter()
    ssim = {t: [round(_ssim(a, b), 4) for a, b in zip(images.cpu(), before.cpu())] for t, images in estimates.items()}
    made = len(LADDER) if purifier == ADAPTIVE else 1
    shared = {"detect": detected - start, "purify": (purified - detected) / made}
    return {name: _answers(name, bundle, features, estimates, ssim, shared) for name in classifiers}


def _answers_alone(network: nn.Module, pixels: Tensor) -> Responses:
    """A classifier's part where there is no defence: no scores, no estimates, and no scan is out of scope."""
    start = time.perf_counter()
    undefended, certainty = _answered(network(pixels))
    seconds = {"detect": (time.perf_counter() - start) / len(pixels), "purify": 0.0}
    return Responses(undefended, certainty, {}, [0.0] * len(pixels), {}, {}, seconds)


def _answers(
    name: str,
    bundle: Bundle,
    features: DetectorFeatures,
    estimates: Mapping[int, Tensor],
    ssim: Mapping[int, list[float]],
    shared: Mapping[str, float],
) -> Responses:
    """One classifier's part; `shared` are the seconds that the batch took without it."""
    start, network, robust = time.perf_counter(), bundle.classifiers[name], bundle.answering(name)
    evidence = evidence_for(network, features)
    detected = time.perf_counter() - start
    undefended, certainty = _answered(evidence.logits)
    return Responses(
        undefended=undefended,
        certainty=certainty,
        scores={name: _rounded(values) for name, values in evidence.scores.items()},
        scope=_rounded(evidence.scope_distance),
        estimates=_classes(network, estimates),
        robust=_classes(bundle.classifiers[robust], estimates) if robust != name else {},
        ssim=ssim,
        seconds={
            "detect": (shared["detect"] + detected) / len(features.pixels),
            "purify": shared["purify"] / len(features.pixels),
        },
    )


def _classes(network: nn.Module, estimates: Mapping[int, Tensor]) -> dict[int, list[int]]:
    return {t: network(estimate).argmax(1).tolist() for t, estimate in estimates.items()}


def _answered(logits: Tensor) -> tuple[list[int], list[float]]:
    certainty, classes = logits.softmax(1).max(1)
    return classes.tolist(), _rounded(certainty)


def _estimates(
    pixels: Tensor, bundle: Bundle, classifier: str, seed: int, purifier: PurifySettings
) -> dict[int, Tensor]:
    if purifier != ADAPTIVE:
        estimate = purified_pixels(pixels, bundle, purifier, classifier=classifier, seed=seed)
        return {t_star: estimate for _, t_star in LADDER}
    noise = fixed_noise(pixels.shape, seed, pixels.device)

    def at(t_star: int) -> Tensor:
        t = torch.full((len(pixels),), t_star, device=pixels.device)
        return purify(pixels, t, PURIFY_STEPS, diffusion_of(bundle), noise)

    return {t_star: at(t_star) for _, t_star in LADDER}


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def batches(count: int) -> list[np.ndarray]:
    """Indices in batches that suit the hardware."""
    return np.array_split(np.arange(count), max(1, -(-count // compute.batch_size())))


def _ssim(first: Tensor, second: Tensor) -> float:
    return float(structural_similarity(first.numpy(), second.numpy(), data_range=1, channel_axis=0))
