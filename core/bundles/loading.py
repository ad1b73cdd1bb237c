"""weights/<name>/ → Bundle: everything learned for one clinical task, checked before it is used.

What a user has added lies elsewhere and is joined to it here, see `core.bundles.own`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core import compute
from core.bundles import own
from core.bundles.bundle import MADE_OF, Bundle, BundleError, Content
from core.bundles.calibration import Borderline, Calibration, Limits
from core.models.acquisition import AcquisitionNetwork
from core.models.changes import with_changes
from core.models.diffusion import Diffusion
from core.models.experts import resnet_mixture, spread_out
from core.models.mae import MaskedAutoencoder
from core.models.mamba import MedMamba
from core.models.mask_dit import MaskDiT
from core.models.resnet import NarrowResNet18
from core.models.timm_classifier import TimmClassifier
from core.models.vit import TokenViT

Network = TypeVar("Network", bound=nn.Module)
WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
TIMM = "timm"
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "half-resnet18": NarrowResNet18,
    "resnet18-mixture": resnet_mixture,
    "medmamba": MedMamba,
    "vit": TokenViT,
    TIMM: TimmClassifier,
}


class Input(NamedTuple):
    """Class names, pixels a side, channels, and what data sets call the classes where that is not their name."""

    classes: tuple[str, ...]
    resolution: int
    channels: int
    codes: tuple[str, ...]


def bundle_names() -> tuple[str, ...]:
    """Names of the bundles that are installed, the user's own among them."""
    return tuple(sorted({*shipped_names(), *own.own_names()}))


def shipped_names() -> tuple[str, ...]:
    """Names of those that come with Purescan."""
    return tuple(sorted(path.parent.name for path in WEIGHTS.glob("*/bundle.json")))


def load_bundle(name: str = "brain-mri", dtype: torch.dtype | None = None) -> Bundle:
    """Load and check a bundle.

    Parameters
    ----------
    name : str
        A folder under weights/, or one of the user's own; classifiers that were added to it are among its own.
    dtype : torch.dtype, optional
        Precision of the U-Net, the MAE and its family; by default the fastest that the hardware has. Take float32 where
        gradients through the defence are needed.

    Raises
    ------
    BundleError
        No such bundle, a file is missing, or a file's SHA-256 is not the one that bundle.json states.
    """
    if name not in bundle_names():
        raise BundleError(f"There is no bundle named {name!r}; choose one of: {', '.join(bundle_names())}.")
    folder = folder_of(name)
    facts = read_json(folder / "bundle.json")
    try:
        return _load(name, folder, facts, dtype or compute.fast_dtype())
    except KeyError as error:
        raise BundleError(f"{name}/bundle.json lacks the entry {error}; {_remedy(folder)}.") from error


def bundle_input(name: str) -> Input:
    """What a bundle's networks take, without loading them; BundleError where there is no such bundle."""
    if name not in bundle_names():
        raise BundleError(f"There is no bundle named {name!r}; choose one of: {', '.join(bundle_names())}.")
    facts = read_json(folder_of(name) / "bundle.json")
    codes = tuple(facts.get("codes", ()))
    return Input(tuple(facts["classes"]), facts["input"]["resolution"], facts["input"]["channels"], codes)


def in_float32(bundle: Bundle) -> Bundle:
    """The same bundle in float32, as gradients through the defence need it; itself where it is that already."""
    exact = all(weight.dtype == torch.float32 for network in bundle.adjustable for weight in network.parameters())
    return bundle if exact else load_bundle(bundle.name, torch.float32)


def folder_of(name: str) -> Path:
    """Where the files of a bundle lie, whether or not there is one of this name."""
    mine = own.own_folder()
    return WEIGHTS / name if mine is None or name in shipped_names() else mine / name


def _remedy(folder: Path) -> str:
    """What to do where a file of this folder is damaged."""
    return "restore it from the repository" if folder.parent == WEIGHTS else own.remedy(folder.name)


def _load(name: str, folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> Bundle:
    check_files(folder, facts["files"])
    added = own.added_to(name) if folder.parent == WEIGHTS else None
    places = {key: folder for key in facts["classifiers"]}
    if added:
        check_files(added.folder, added.facts["files"])
        facts = _joined(name, facts, added)
        places = dict.fromkeys(added.facts["classifiers"], added.folder) | places
    channels, resolution = facts["input"]["channels"], facts["input"]["resolution"]
    classifiers = {
        key: _filled(_built(entry, channels, len(facts["classes"])), places[key] / entry["file"])
        for key, entry in facts["classifiers"].items()
    }
    mae, diffusion = _mae(folder, facts, dtype), _diffusion(folder, facts, dtype)
    # Without these there is nothing to calibrate; with them, what is missing was lost.
    nothing: dict[str, Any] = {"content": None, "calibration": None, "limits": {}}
    known = facts if mae and diffusion else nothing | dict(facts)
    calibrations = read_json(folder / known["calibration"]) if known["calibration"] else {}
    return Bundle(
        folder=folder,
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
        calibrations={key: Calibration.from_json(entry, channels) for key, entry in calibrations.items()},
        modalities=tuple(facts["modalities"]),
        content=_content(folder / known["content"]) if known["content"] else None,
        hashes=facts["files"],
        facts=facts,
        acquisition=_acquisition(folder, facts),
        planes=tuple(facts.get("planes", ())),
        sequences=tuple(facts.get("sequences", ())),
        added={key: added.folder / entry["file"] for key, entry in added.facts["classifiers"].items()} if added else {},
        mask_dit=_mask_dit(folder, facts, dtype),
        robust_mae=_mae(folder, facts, dtype, "robust_mae"),
        robust_mask_dit=_mask_dit(folder, facts, dtype, "robust_mask_dit"),
    )


def _joined(name: str, facts: Mapping[str, Any], added: own.Added) -> dict[str, Any]:
    """The bundle's facts with those of what was added to it."""
    parts = {part: dict(facts.get(part, {})) for part in ("classifiers", "files", "provenance")}
    if taken := sorted(parts["classifiers"].keys() & added.facts["classifiers"].keys()):
        raise BundleError(
            f"The bundle {name} now has a classifier of its own named {taken[0]}, and one of that name was added; take "
            f"that away by: python -m core bundle remove {name} --classifier {taken[0]}."
        )
    return {**facts, **{part: known | added.facts.get(part, {}) for part, known in parts.items()}}


def _built(entry: Mapping[str, Any], channels: int, class_count: int) -> nn.Module:
    named, count = len(entry.get("experts", ())), entry.get("config", {}).get("count", 0)
    if named != count:
        raise BundleError(f"{entry['file']} holds {count} experts and bundle.json names {named}; restore both.")
    try:
        return ARCHITECTURES[entry["architecture"]](channels, class_count, **entry.get("config", {}))
    except ValueError as error:
        raise BundleError(f"{entry['file']}: {error}") from error


def _mae(folder: Path, facts: Mapping[str, Any], dtype: torch.dtype, part: str = "mae") -> MaskedAutoencoder | None:
    if part not in facts:
        return None
    mae = MaskedAutoencoder(**_size(facts), **facts["mae"]["config"])
    return _placed(_filled(mae, *_sources(folder, facts, part)), dtype)


def _mask_dit(folder: Path, facts: Mapping[str, Any], dtype: torch.dtype, part: str = "mask_dit") -> MaskDiT | None:
    if part not in facts:
        return None
    network = MaskDiT(**_size(facts), **facts["mask_dit"]["config"])
    return _placed(_filled(network, *_sources(folder, facts, part)), dtype)


def _size(facts: Mapping[str, Any]) -> dict[str, int]:
    return {name: facts["input"][name] for name in ("resolution", "channels")}


def _sources(folder: Path, facts: Mapping[str, Any], part: str) -> list[Path]:
    """The files that a part's weights are in: a robust one's holds what it changed of that which it was made of."""
    entry, own, base = facts[part], folder / facts[part]["file"], MADE_OF.get(part)
    if base is None:
        return [own]
    if entry["of"] != facts["files"][facts[base]["file"]]:
        raise BundleError(f"{folder.name}/{entry['file']} was made of another {facts[base]['file']}; restore both.")
    return [folder / facts[base]["file"], own]


def _diffusion(folder: Path, facts: Mapping[str, Any], dtype: torch.dtype) -> Diffusion | None:
    if "unet" not in facts:
        return None
    diffusion = Diffusion(facts["unet"]["config"], facts["unet"]["unconditional"])
    _filled(diffusion.unet, folder / facts["unet"]["file"])
    return _placed(diffusion, dtype)


def _acquisition(folder: Path, facts: Mapping[str, Any]) -> AcquisitionNetwork | None:
    if "acquisition" not in facts:
        return None
    return _placed(_filled(AcquisitionNetwork(), folder / facts["acquisition"]["file"]), torch.float32)


def _content(path: Path) -> Content:
    return Content(**{key: value.float().to(compute.device()) for key, value in load_file(path).items()})


def _limits(entry: Mapping[str, Any]) -> Limits:
    return Limits(
        thresholds={score: threshold["value"] for score, threshold in entry["thresholds"].items()},
        scope_limit=entry["scope_limit"],
        ladder=tuple((float("inf") if largest is None else largest, t) for largest, t in entry["ladder"]),
        borderline=Borderline(**entry["borderline"]),
        altered=tuple(entry.get("altered", ())),
        purifies=entry.get("purifies", True),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_json(path: Path) -> Any:
    """What a file of a bundle holds; BundleError, one sentence, where it can't be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path.parent.name}/{path.name} can't be read; {_remedy(path.parent)}.") from error


def check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    """Raise BundleError, one sentence, where a file is missing or its SHA-256 is another than `hashes` states."""
    for file, expected in hashes.items():
        path = folder / file
        if not path.is_file():
            raise BundleError(f"{folder.name}/{file} is missing; {_remedy(folder)}.")
        if file_sha256(path) != expected:
            raise BundleError(
                f"{folder.name}/{file} is not the file that bundle.json describes (its SHA-256 differs); "
                f"{_remedy(folder)}."
            )


def _filled(network: Network, path: Path, *changes: Path) -> Network:
    """The network with the weights of a file, and the `changes` that were made of them."""
    try:
        weights = {key: value.float() for key, value in load_file(path).items()}
        for path in changes:
            weights = with_changes(weights, load_file(path))
        network.load_state_dict(spread_out(weights, network.state_dict()))
    except (KeyError, RuntimeError, SafetensorError) as error:
        name = f"{path.parent.name}/{path.name}"
        raise BundleError(f"{name} doesn't fit the network that bundle.json names.") from error
    return network


def _placed(network: Network, dtype: torch.dtype) -> Network:
    network = network.to(compute.device(), dtype).to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)
