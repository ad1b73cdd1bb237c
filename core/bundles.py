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
from core.calibration import Borderline, Calibration, Limits
from core.models.diffusion import Diffusion
from core.models.experts import resnet_mixture
from core.models.mae import MaskedAutoencoder
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from core.models.vit import TokenViT

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
OTHER = "OT"  # a DICOM Modality that says nothing of what is shown (PS3.3 C.7.3.1.1.1)
ARCHITECTURES = {
    "half-resnet18": NarrowResNet18,
    "resnet18-mixture": resnet_mixture,
    "medmamba": MedMamba,
    "vit": TokenViT,
}


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
    mae, diffusion : Module or None
        In the precision that `load_bundle` was asked for; None where the bundle has none, see `lacks`.
    modalities : tuple of str
        DICOM Modality values that are accepted; a file that states none is judged by its content alone. Empty where
        the bundle takes plain pictures and no scans.
    limits : mapping of str to Limits
        Classifier → thresholds, scope limit and t* ladder.
    content : Content or None
        None where the bundle can't tell whether a scan is in its scope.
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
    mae: MaskedAutoencoder | None
    diffusion: Diffusion | None
    limits: Mapping[str, Limits]
    calibrations: Mapping[str, Calibration]
    modalities: tuple[str, ...]
    content: Content | None
    hashes: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def lacks(self) -> str | None:
        """One sentence: which networks of the defence the bundle is without, and what follows; None where it has all.

        Detection and the scope check take both networks; what purifies with one of them asks for that one alone.
        """
        parts = {"masked autoencoder": self.mae, "diffusion model": self.diffusion}
        missing = [name for name, network in parts.items() if network is None]
        if not missing:
            return None
        return (
            f"The bundle {self.name} holds no {' and no '.join(missing)}, so it can't detect attacks, purify what was "
            "attacked, or tell whether a picture is in its scope; choose a bundle that holds them."
        )

    @property
    def written_modality(self) -> str:
        """The DICOM Modality of a file of pixels made for this bundle, where what they were made from states none."""
        return self.modalities[0] if self.modalities else OTHER

    def limits_of(self, classifier: str) -> Limits:
        """Thresholds, scope limit and t* ladder of a classifier; BundleError where it has not been calibrated."""
        if self.lacks:
            raise BundleError(self.lacks)
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
    parts = [network for network in (bundle.mae, bundle.diffusion) if network is not None]
    exact = all(weight.dtype == torch.float32 for network in parts for weight in network.parameters())
    return bundle if exact else load_bundle(bundle.name, torch.float32)


def _load(name: str, folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> Bundle:
    _check_files(folder, facts["files"])
    channels, resolution = facts["input"]["channels"], facts["input"]["resolution"]
    classifiers = {
        key: _filled(_built(entry, channels, len(facts["classes"])), folder / entry["file"])
        for key, entry in facts["classifiers"].items()
    }
    mae, diffusion = _mae(folder, facts, dtype), _diffusion(folder, facts, dtype)
    # Without these there is nothing to calibrate; with them, what is missing was lost.
    known = facts if mae and diffusion else {"content": None, "calibration": None, "limits": {}} | facts
    calibrations = _read_json(folder / known["calibration"]) if known["calibration"] else {}
    return Bundle(
        name=name,
        title=facts["title"],
        classes=tuple(facts["classes"]),
        resolution=resolution,
        channels=channels,
        classifiers={key: _placed(network, torch.float32) for key, network in classifiers.items()},
        default_classifier=facts["default_classifier"],
        mae=mae,
        diffusion=diffusion,
        limits={key: _limits(entry) for key, entry in known["limits"].items()},
        calibrations={key: Calibration.from_json(entry) for key, entry in calibrations.items()},
        modalities=tuple(facts["modalities"]),
        content=_content(folder / known["content"]) if known["content"] else None,
        hashes=facts["files"],
        facts=facts,
    )


def _built(entry: Mapping[str, Any], channels: int, class_count: int) -> nn.Module:
    named, count = len(entry.get("experts", ())), entry.get("config", {}).get("count", 0)
    if named != count:
        raise BundleError(f"{entry['file']} holds {count} experts and bundle.json names {named}; restore both.")
    return ARCHITECTURES[entry["architecture"]](channels, class_count, **entry.get("config", {}))


def _mae(folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> MaskedAutoencoder | None:
    if "mae" not in facts:
        return None
    size = {name: facts["input"][name] for name in ("resolution", "channels")}
    mae = MaskedAutoencoder(**size, **facts["mae"]["config"])
    return _placed(_filled(mae, folder / facts["mae"]["file"]), dtype)


def _diffusion(folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> Diffusion | None:
    if "unet" not in facts:
        return None
    diffusion = Diffusion(facts["unet"]["config"], facts["unet"]["unconditional"])
    _filled(diffusion.unet, folder / facts["unet"]["file"])
    return _placed(diffusion, dtype)


def _content(path: Path) -> Content:
    return Content(**{key: value.float().to(compute.device()) for key, value in load_file(path).items()})


def _limits(entry: Mapping[str, Any]) -> Limits:
    return Limits(
        thresholds={score: threshold["value"] for score, threshold in entry["thresholds"].items()},
        scope_limit=entry["scope_limit"],
        ladder=tuple((float("inf") if largest is None else largest, t) for largest, t in entry["ladder"]),
        borderline=Borderline(**entry["borderline"]),
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
