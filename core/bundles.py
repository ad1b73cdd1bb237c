"""weights/<name>/ → Bundle: everything learned for one clinical task, checked before it is used."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core import compute
from core.calibration import Calibration, Limits
from core.models.diffusion import Diffusion
from core.models.experts import resnet_mixture
from core.models.mae import MaskedAutoencoder
from core.models.resnet import NarrowResNet18

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
ARCHITECTURES = {"half-resnet18": NarrowResNet18, "resnet18-mixture": resnet_mixture}


class BundleError(ValueError):
    """One sentence: which bundle or file is at fault, and what to do."""


@dataclass(frozen=True)
class Content:
    """What is known of the training scans' content, in the features of `core.detection.content_features`.

    Attributes
    ----------
    centre, projection : Tensor
        (2D,) and (2D, Q): features minus centre, times projection, are whitened principal components.
    references : Tensor
        (R, Q) training scans in these components.
    amv_weight, amv_bias : Tensor
        (2D,) and (): ridge regression from features to the logarithm of a clean scan's attention variation.
    """

    centre: Tensor
    projection: Tensor
    references: Tensor
    amv_weight: Tensor
    amv_bias: Tensor

    def distance(self, features: Tensor) -> Tensor:
        """(B, 2D) features → (B,) distance to the nearest training scan, in standard deviations."""
        whitened = (features - self.centre) @ self.projection
        return torch.cdist(whitened, self.references).amin(1)

    def usual_variation(self, features: Tensor) -> Tensor:
        """(B, 2D) features → (B,) the attention variation that clean scans of such content have."""
        return (features @ self.amv_weight + self.amv_bias).exp()


class Expert(NamedTuple):
    """One expert of a mixture: its short name, and in one sentence what it was trained on."""

    name: str
    training: str


@dataclass(frozen=True)
class Bundle:
    """Everything learned for one clinical task. Shared between visitors: never modify its networks.

    Attributes
    ----------
    classes : tuple of str
        Class names in the order of the logits.
    resolution, channels : int
        Side in pixels and channels of the square images that the models take.
    classifiers : mapping of str to Module
        (B, C, H, W) in [0, 1] → logits, float32.
    mae, diffusion : Module
        In the precision that `load_bundle` was asked for.
    modalities : tuple of str
        DICOM Modality values that are accepted; a file that states none is judged by its content alone.
    limits : mapping of str to Limits
        Classifier → thresholds, scope limit and t* ladder.
    hashes : mapping of str to str
        File → SHA-256 in hex.
    facts : mapping
        The rest of bundle.json: detection settings, provenance, measured figures.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    resolution: int
    channels: int
    classifiers: Mapping[str, nn.Module]
    default_classifier: str
    mae: MaskedAutoencoder
    diffusion: Diffusion
    limits: Mapping[str, Limits]
    calibrations: Mapping[str, Calibration]
    modalities: tuple[str, ...]
    content: Content
    hashes: Mapping[str, str]
    facts: Mapping[str, Any]

    def limits_of(self, classifier: str) -> Limits:
        """Thresholds, scope limit and t* ladder of a classifier; BundleError where it has not been calibrated."""
        if classifier not in self.limits:
            known = ", ".join(self.limits) or "none"
            raise BundleError(
                f"The classifier {classifier!r} of the bundle {self.name} has no thresholds yet, so nothing can be "
                f"examined with it; calibrated are: {known}."
            )
        return self.limits[classifier]

    def experts(self, classifier: str) -> tuple[Expert, ...]:
        """Who sits in a mixture, in the order of its gate; empty where a classifier is no mixture."""
        return tuple(Expert(**entry) for entry in self.facts["classifiers"][classifier].get("experts", ()))

    def classifier_name(self, name: str | None) -> str:
        """`name`, or the default where None; BundleError where the bundle has no such classifier."""
        name = name or self.default_classifier
        if name not in self.classifiers:
            known = ", ".join(sorted(self.classifiers))
            raise BundleError(f"The bundle {self.name} has no classifier named {name!r}; choose one of: {known}.")
        return name


def bundle_names() -> tuple[str, ...]:
    """Names of the bundles that are installed."""
    return tuple(sorted(path.parent.name for path in WEIGHTS.glob("*/bundle.json")))


def load_bundle(name: str = "brain-mri", dtype: torch.dtype | None = None) -> Bundle:
    """Load and check a bundle.

    Parameters
    ----------
    name : str
        A folder under weights/.
    dtype : torch.dtype, optional
        Precision of the MAE and the U-Net; by default the fastest that the hardware has. Take float32 where
        gradients through the defence are needed.

    Raises
    ------
    BundleError
        No such bundle, a file is missing, or a file's SHA-256 is not the one that bundle.json states.
    """
    if name not in bundle_names():
        raise BundleError(f"There is no bundle named {name!r}; choose one of: {', '.join(bundle_names())}.")
    folder = WEIGHTS / name
    facts = _read_json(folder / "bundle.json")
    try:
        return _load(name, folder, facts, dtype or compute.fast_dtype())
    except KeyError as error:
        raise BundleError(f"{name}/bundle.json lacks the entry {error}; restore it from the repository.") from error


def in_float32(bundle: Bundle) -> Bundle:
    """The same bundle in float32, as gradients through the defence need it; itself where it is that already."""
    return bundle if bundle.diffusion.unet.dtype == torch.float32 else load_bundle(bundle.name, torch.float32)


def _load(name: str, folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> Bundle:
    _check_files(folder, facts["files"])
    channels, resolution = facts["input"]["channels"], facts["input"]["resolution"]
    classifiers = {
        key: _filled(_built(entry, channels, len(facts["classes"])), folder / entry["file"])
        for key, entry in facts["classifiers"].items()
    }
    mae = MaskedAutoencoder(resolution=resolution, channels=channels, **facts["mae"]["config"])
    diffusion = Diffusion(facts["unet"]["config"], facts["unet"]["unconditional"])
    _filled(diffusion.unet, folder / facts["unet"]["file"])
    calibrations = _read_json(folder / facts["calibration"])
    content = load_file(folder / facts["content"])
    return Bundle(
        name=name,
        title=facts["title"],
        classes=tuple(facts["classes"]),
        resolution=resolution,
        channels=channels,
        classifiers={key: _placed(network, torch.float32) for key, network in classifiers.items()},
        default_classifier=facts["default_classifier"],
        mae=_placed(_filled(mae, folder / facts["mae"]["file"]), dtype),
        diffusion=_placed(diffusion, dtype),
        limits={key: _limits(entry) for key, entry in facts["limits"].items()},
        calibrations={key: Calibration.from_json(entry) for key, entry in calibrations.items()},
        modalities=tuple(facts["modalities"]),
        content=Content(**{key: value.float().to(compute.device()) for key, value in content.items()}),
        hashes=facts["files"],
        facts=facts,
    )


def _built(entry: Mapping[str, Any], channels: int, class_count: int) -> nn.Module:
    named, count = len(entry.get("experts", ())), entry.get("config", {}).get("count", 0)
    if named != count:
        raise BundleError(f"{entry['file']} holds {count} experts and bundle.json names {named}; restore both.")
    return ARCHITECTURES[entry["architecture"]](channels, class_count, **entry.get("config", {}))


def _limits(entry: Mapping[str, Any]) -> Limits:
    return Limits(
        thresholds={score: threshold["value"] for score, threshold in entry["thresholds"].items()},
        scope_limit=entry["scope_limit"],
        ladder=tuple((float("inf") if largest is None else largest, t) for largest, t in entry["ladder"]),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path.parent.name}/{path.name} can't be read; restore it from the repository.") from error


def _check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    for file, expected in hashes.items():
        path = folder / file
        if not path.is_file():
            raise BundleError(f"{folder.name}/{file} is missing; restore it from the repository.")
        if file_sha256(path) != expected:
            raise BundleError(
                f"{folder.name}/{file} is not the file that bundle.json describes (its SHA-256 differs); "
                "restore it from the repository."
            )


def _filled(network: nn.Module, path: Path) -> nn.Module:
    try:
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    except (RuntimeError, SafetensorError) as error:
        raise BundleError(f"{path.parent.name}/{path.name} doesn't fit the network that bundle.json names.") from error
    return network


def _placed(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    network = network.to(compute.device(), dtype).to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)
