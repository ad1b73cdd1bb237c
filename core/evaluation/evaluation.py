"""The whole defence over a data set, clean and attacked, never with a threshold that saw the image."""

import platform
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
from core.attacks import AttackSettings, attack_steps, attack_target, find_method, sees_defence
from core.bundles import Bundle, BundleError
from core.bundles.calibration import LADDER, Decisions, Limits, Responses, cross_fitted_limits, decide
from core.defence.pipeline import PURIFY_STEPS
from core.detection.scores import DetectorFeatures, evidence_for, gather_features
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.journal import Journal
from core.purification.catalogue import purified_pixels
from core.purification.ddim import fixed_noise, purify
from core.purification.settings import PurifySettings
from core.statistics import auc, auc_interval, bootstrap_interval, tpr_at_false_alarms

Progress = Callable[[int], None]
CLEAN = AttackSettings()
ADAPTIVE = PurifySettings()
NO_PURIFIER = PurifySettings("none")
NO_LIMITS = Limits({}, float("inf"), ())


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


def evaluate(
    data: Dataset,
    bundle: Bundle,
    *,
    classifier: str | None = None,
    attack: AttackSettings = CLEAN,
    purifier: PurifySettings = ADAPTIVE,
    seed: int = 0,
    resume: Path | None = None,
    progress: Progress = lambda images: None,
) -> dict[str, Any]:
    """Answer every image, clean and attacked, with and without the defence.

    Parameters
    ----------
    attack
        Against the networks in the precision that they run in, the whole defence included.
    purifier
        What purifies the flagged scans; an attacker of the whole defence still faces the adaptive one. Of a bundle
        without a defence (`Bundle.lacks`) nothing is flagged or purified, so that defended and undefended figures are
        the same.
    resume : Path, optional
        A file in which answers are kept as they come; an evaluation that was cut off goes on from it.
    progress : callable
        Called with the number of images done since the last call.

    Returns
    -------
    dict
        As declared in `core.cli.schema.EVALUATE`, without `settings`.

    Raises
    ------
    ValueError
        A parameter is out of range, `resume` holds another evaluation, or a defence is asked for that the bundle lacks;
        one sentence.
    """
    name, purifier = bundle.classifier_name(classifier), purifier_in_force(bundle, purifier)
    if bundle.lacks and sees_defence(attack):
        raise BundleError(bundle.lacks)
    run = {"attack": asdict(attack), "seed": seed, "classifier": name, "data": data.sha256, "n": len(data)}
    run |= {"purifier": asdict(purifier)} if purifier != ADAPTIVE else {}
    notebook = Notebook(
        resume, run | {"weights": weights_record(bundle, name), "limits": repr(limits_in_force(bundle, name))}
    )
    how = {"purifier": purifier, "seed": seed, "notebook": notebook, "progress": progress}
    clean = collect(data, bundle, name, CLEAN, **how)
    attacked = None
    if attack.method:
        attacked = collect(data, bundle, name, attack, **how)
    return summary(data.labels.numpy(), data.groups, own_limits(data, bundle, name), clean, attacked)


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
        found = {name: notebook.find(kind, first) for name, notebook in notebooks.items()}
        if unknown := [name for name, part in found.items() if part is None]:
            before = data.pixels[indices].to(compute.device())
            after = before
            if attack.method:
                target = attack_target(bundle, next(iter(notebooks)), attack, seed + first)
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
    """The same for several classifiers, by name; of a bundle without a defence the classifiers' answers alone."""
    if bundle.lacks:
        return {name: _answers_alone(bundle.classifiers[name], pixels) for name in classifiers}
    start = time.perf_counter()
    features = gather_features(pixels, bundle, seed)
    detected = time.perf_counter()
    estimates = _estimates(pixels, bundle, classifiers[0], seed, purifier)
    purified = time.perf_counter()
    ssim = {t: [round(_ssim(a, b), 4) for a, b in zip(images.cpu(), before.cpu())] for t, images in estimates.items()}
    made = len(LADDER) if purifier == ADAPTIVE else 1
    shared = {"detect": detected - start, "purify": (purified - detected) / made}
    return {name: _answers(bundle.classifiers[name], features, estimates, ssim, shared) for name in classifiers}


def _answers_alone(network: nn.Module, pixels: Tensor) -> Responses:
    """A classifier's part where there is no defence: no scores, no estimates, and no scan is out of scope."""
    start = time.perf_counter()
    undefended, certainty = _answered(network(pixels))
    seconds = {"detect": (time.perf_counter() - start) / len(pixels), "purify": 0.0}
    return Responses(undefended, certainty, {}, [0.0] * len(pixels), {}, {}, seconds)


def _answers(
    network: nn.Module,
    features: DetectorFeatures,
    estimates: Mapping[int, Tensor],
    ssim: Mapping[int, list[float]],
    shared: Mapping[str, float],
) -> Responses:
    """One classifier's part; `shared` are the seconds that the batch took without it."""
    start = time.perf_counter()
    evidence = evidence_for(network, features)
    detected = time.perf_counter() - start
    undefended, certainty = _answered(evidence.logits)
    return Responses(
        undefended=undefended,
        certainty=certainty,
        scores={name: _rounded(values) for name, values in evidence.scores.items()},
        scope=_rounded(evidence.scope_distance),
        estimates={t: network(estimate).argmax(1).tolist() for t, estimate in estimates.items()},
        ssim=ssim,
        seconds={
            "detect": (shared["detect"] + detected) / len(features.pixels),
            "purify": shared["purify"] / len(features.pixels),
        },
    )


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
        return purify(pixels, t, PURIFY_STEPS, bundle.diffusion, noise)

    return {t_star: at(t_star) for _, t_star in LADDER}


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def own_limits(data: Dataset, bundle: Bundle, classifier: str) -> list[Limits]:
    """The limits for each image: fitted without its fold where it was a calibration scan, else the bundle's own."""
    if bundle.lacks:
        return [NO_LIMITS] * len(data)
    calibration = bundle.calibrations[classifier]
    fitted = dict(zip(calibration.digests, cross_fitted_limits(calibration)))
    return [fitted.get(image_digest(pixels), bundle.limits_of(classifier)) for pixels in data.pixels]


def limits_in_force(bundle: Bundle, classifier: str) -> Limits:
    """The bundle's own; of a bundle without a defence those that flag and refuse nothing."""
    return NO_LIMITS if bundle.lacks else bundle.limits_of(classifier)


def purifier_in_force(bundle: Bundle, purifier: PurifySettings) -> PurifySettings:
    """`purifier`; none where the bundle can't flag a scan, and BundleError where another than the usual was wanted."""
    if bundle.lacks is None:
        return purifier
    if purifier not in (ADAPTIVE, NO_PURIFIER):
        raise BundleError(bundle.lacks)
    return NO_PURIFIER


def batches(count: int) -> list[np.ndarray]:
    """Indices in batches that suit the hardware: on a CPU the U-Net is fastest while a batch fits its cache."""
    size = 4 if compute.device().type == "cpu" else 128
    return np.array_split(np.arange(count), max(1, -(-count // size)))


def weights_record(bundle: Bundle, classifier: str) -> dict[str, str]:
    """File → SHA-256 of everything trained that this classifier's figures depend on: not the other classifiers."""
    others = {entry["file"] for name, entry in bundle.facts["classifiers"].items() if name != classifier}
    trained = {file: sha256 for file, sha256 in bundle.hashes.items() if file.endswith(".safetensors")}
    return {file: sha256 for file, sha256 in trained.items() if file not in others}


def settings_record(
    data: Dataset,
    bundle: Bundle,
    classifier: str | None,
    attack: AttackSettings,
    split: str,
    seed: int,
    command: str,
    purifier: PurifySettings = ADAPTIVE,
) -> dict[str, Any]:
    """Everything that is needed to run an evaluation again; `lacks` says why a bundle's figures are undefended ones."""
    name = bundle.classifier_name(classifier)
    limits = limits_in_force(bundle, name)
    return {
        "command": command,
        "bundle": bundle.name,
        "classifier": name,
        "attack": asdict(attack),
        "purifier": asdict(purifier_in_force(bundle, purifier)),
        **({"lacks": bundle.lacks} if bundle.lacks else {}),
        "data_sha256": data.sha256,
        "weights_sha256": weights_record(bundle, name),
        "thresholds": dict(limits.thresholds),
        "borderline": limits.borderline._asdict(),
        "split": split,
        "seed": seed,
        "device": compute.device().type,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "precision": str(compute.fast_dtype()).removeprefix("torch."),
        },
    }


def _ssim(first: Tensor, second: Tensor) -> float:
    return float(structural_similarity(first.numpy(), second.numpy(), data_range=1, channel_axis=0))


def summary(
    labels: np.ndarray,
    groups: Sequence[str],
    limits: Sequence[Limits],
    clean: Responses,
    attacked: Responses | None = None,
) -> dict[str, Any]:
    """Figures and intervals, as declared in `core.cli.schema.EVALUATE` without `settings`.

    Parameters
    ----------
    labels, groups, limits
        (N,) true class, near-duplicate group and limits of each image.
    """
    measured = _measured(clean, decide(clean, limits), labels, "clean")
    decisions, fooled = None, np.zeros(len(labels), dtype=bool)
    if attacked:
        decisions = decide(attacked, limits)
        measured |= _measured(attacked, decisions, labels, "attacked")
        fooled = (measured["clean_accuracy"] == 1) & (measured["attacked_accuracy"] == 0)
    return {
        "n": len(labels),
        "refused": int(decide(clean, limits).refused.sum()),
        "refused_attacked": int(decisions.refused.sum()) if decisions else None,
        **{name: float(measured[name].mean()) if name in measured else None for name in SHARES_REPORTED},
        "intervals": {name: list(bootstrap_interval(values, groups)) for name, values in measured.items()},
        "detection": {
            name: _separation(np.array(clean.scores[name]), np.array(attacked.scores[name]), fooled, groups)
            for name in (clean.scores if attacked else ())
        },
        "flagged_successful": float(decisions.flagged[fooled].mean()) if fooled.any() else None,
        "flagged_label_kept": _label_kept(attacked or clean, decisions or decide(clean, limits)),
        "ssim_purified": _mean_ssim(decisions) if decisions else None,
        "seconds_per_image": clean.seconds["detect"] + measured["flagged_clean"].mean() * clean.seconds["purify"],
    }


SHARES_REPORTED = (
    "clean_accuracy",
    "attacked_accuracy",
    "defended_clean_accuracy",
    "defended_attacked_accuracy",
    "flagged_clean",
    "flagged_attacked",
)


def _measured(responses: Responses, decisions: Decisions, labels: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    return {
        f"{kind}_accuracy": (np.array(responses.undefended) == labels).astype(float),
        f"defended_{kind}_accuracy": (decisions.answers == labels).astype(float),
        f"flagged_{kind}": decisions.flagged.astype(float),
    }


def _label_kept(responses: Responses, decisions: Decisions) -> float | None:
    """Share of the flagged scans whose label is still the classifier's own."""
    chosen = decisions.flagged & ~decisions.refused
    return float((decisions.answers == responses.undefended)[chosen].mean()) if chosen.any() else None


def _mean_ssim(decisions: Decisions) -> float | None:
    return float(decisions.ssim[decisions.flagged].mean()) if decisions.flagged.any() else None


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
