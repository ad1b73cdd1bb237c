"""Somebody's own classifier: what is asked of its names, its weights and its answers before it joins a bundle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.bundles.bundle import Bundle, BundleError
from core.models.timm_classifier import TimmClassifier, TimmForm, timm_form

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TAKEN = ("mae", "unet")  # other networks go by these names
PICKLES = (b"PK\x03\x04", b"\x80")  # of torch.save, today's and that of before 1.6
PICKLED = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
WRAPPERS = ("module.", "model.")  # what training frameworks put before every name
LEAST_SIZE, MOST_SIZE = 8, 1024


@dataclass(frozen=True)
class Wanted:
    """A classifier as its owner describes it.

    Attributes
    ----------
    bundle : str
        One that exists and is joined, or the name of a new one.
    model : str
        The architecture, by timm's name.
    weights : Path
        Its state dict, as safetensors.
    classes : tuple of str
        In the order of its outputs.
    mean, std : tuple of float
        What its input is normalised by, in pixel units: one number, or one a channel of the network.
    size : int, optional
        Side in pixels of the squares that it was trained on, the resolution of a new bundle; the architecture's usual
        one by default.
    name : str, optional
        What it is called; `model` by default.
    grey : bool
        Of a new bundle: its scans are grey, and a network of three channels is given each three times.
    modalities : tuple of str
        Of a new bundle: the DICOM Modality values that it takes; plain pictures alone where empty.
    """

    bundle: str
    model: str
    weights: Path
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None
    name: str | None = None
    grey: bool = False
    modalities: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """What the bundle calls it."""
        return self.name or self.model


class Home(NamedTuple):
    """Classes, resolution and channels of the bundle that is joined, or made."""

    classes: tuple[str, ...]
    resolution: int
    channels: int


class Checked(NamedTuple):
    """What may join: the network, the config that makes it, and the bundle that it fits."""

    network: TimmClassifier
    config: Mapping[str, Any]
    home: Home


def checked(wanted: Wanted, joined: Bundle | None) -> Checked:
    """The network as its owner describes it, with its weights.

    Parameters
    ----------
    joined : Bundle or None
        What it is to join; None where that is to be made.

    Raises
    ------
    BundleError
        Names, shapes, classes or files don't fit; one sentence.
    """
    form = _known_form(wanted.model)
    _check_words(wanted)
    weights = read_weights(wanted.weights)
    channels, size = _network_channels(weights, form), wanted.size or form.size
    if joined:
        _check_joining(wanted, joined)
        home = Home(joined.classes, joined.resolution, joined.channels)
    else:
        home = Home(wanted.classes, size, 1 if wanted.grey else channels)
    config: dict[str, Any] = {"model": wanted.model, "size": size, "network_channels": channels}
    order = [wanted.classes.index(label) for label in home.classes]
    config |= {"order": order} if order != sorted(order) else {}
    _check_shapes(wanted, weights, form, home, channels)
    network = _filled(wanted, weights, home, config)
    _check_answers(network, home)
    return Checked(network, config, home)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from a safetensors file, without the prefix of a training framework; BundleError, one sentence."""
    if not path.is_file():
        raise BundleError(f"There is no file {path}; --weights names the classifier's safetensors file.")
    if path.suffix.lower() in PICKLED:
        raise BundleError(_pickled(path))
    try:
        weights = load_file(path)
    except (SafetensorError, ValueError) as error:
        with path.open("rb") as file:
            pickled = file.read(4).startswith(PICKLES)
        said = f"{path.name} is no safetensors file; save the model's state_dict() with safetensors.torch.save_file."
        raise BundleError(_pickled(path) if pickled else said) from error
    for prefix in WRAPPERS:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    if unsound := [name for name, tensor in weights.items() if not tensor.float().isfinite().all()]:
        raise BundleError(f"{path.name} holds NaN or infinity in {unsound[0]}; bring weights that are numbers.")
    return weights


def _pickled(path: Path) -> str:
    return (
        f"{path.name} is a pickle, which may run code while it is read; where you trust it, save the model's "
        "state_dict() with safetensors.torch.save_file, and bring that."
    )


def _known_form(model: str) -> TimmForm:
    try:
        return timm_form(model)
    except ValueError as error:
        raise BundleError(str(error)) from error


def _check_words(wanted: Wanted) -> None:
    if not NAME.fullmatch(wanted.called) or wanted.called in TAKEN:
        raise BundleError(
            f"{wanted.called!r} can't name a classifier; give it another name with --as: letters, digits, '-', '_' and "
            f"'.', 64 at most, and not {' or '.join(TAKEN)}."
        )
    labels = wanted.classes
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
        raise BundleError("--classes names two or more different classes, in the order of the model's outputs: A,B.")
    if not all(0 <= value <= 1 for value in wanted.mean) or not all(0 < value <= 1 for value in wanted.std):
        raise BundleError(
            "--mean lies in 0 to 1 and --std above 0 and up to 1, as pixels do here; divide those for 0 to 255 by 255."
        )
    if wanted.size is not None and not LEAST_SIZE <= wanted.size <= MOST_SIZE:
        raise BundleError(f"--size must be between {LEAST_SIZE} and {MOST_SIZE} pixels, not {wanted.size}.")


def _check_joining(wanted: Wanted, joined: Bundle) -> None:
    if wanted.called in joined.classifiers:
        raise BundleError(
            f"The bundle {wanted.bundle} has a classifier named {wanted.called} already; give yours another name with "
            "--as, or take that away first where you added it."
        )
    if sorted(wanted.classes) != sorted(joined.classes):
        raise BundleError(
            f"The bundle {wanted.bundle} tells {', '.join(joined.classes)} apart, and --classes says "
            f"{', '.join(wanted.classes)}; name the same, in the order of your model's outputs, or a new bundle."
        )
    if wanted.grey or wanted.modalities:
        raise BundleError(
            f"--grey and --modalities describe a new bundle, and {wanted.bundle} has its own; leave them away."
        )


def _network_channels(weights: Mapping[str, Tensor], form: TimmForm) -> int:
    """How many channels the first convolution takes; three where that isn't told."""
    first = weights.get(f"{form.first}.weight")
    count = first.shape[1] if first is not None and first.ndim == 4 else 3
    if count not in (1, 3):
        raise BundleError(f"The weights are of a network that takes {count} channels; pictures have one or three.")
    return count


def _check_shapes(wanted: Wanted, weights: Mapping[str, Tensor], form: TimmForm, home: Home, channels: int) -> None:
    if home.channels > channels:
        raise BundleError(
            f"The bundle {wanted.bundle} is of colour pictures, and the weights are of a network that takes grey ones; "
            "name a new bundle."
        )
    for option, values in (("--mean", wanted.mean), ("--std", wanted.std)):
        if len(values) not in (1, channels):
            raise BundleError(f"{option} has {len(values)} numbers, and the network {channels} channels; give as many.")
    head = weights.get(f"{form.head}.weight")
    if head is not None and len(head) != len(home.classes):
        raise BundleError(
            f"The weights tell {len(head)} classes apart, and --classes names {len(home.classes)}; name one an output."
        )


def _filled(wanted: Wanted, weights: Mapping[str, Tensor], home: Home, config: Mapping[str, Any]) -> TimmClassifier:
    try:
        network = TimmClassifier(home.channels, len(home.classes), **config)
    except ValueError as error:
        raise BundleError(str(error)) from error
    for buffer, values in ((network.mean, wanted.mean), (network.std, wanted.std)):
        buffer.copy_(torch.tensor(values).view(1, -1, 1, 1))
    own = network.network.state_dict()
    _check_fit(own, weights, wanted)
    network.network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in weights.items()})
    return network.eval()


def _check_fit(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], wanted: Wanted) -> None:
    """own: what the architecture has."""
    missing, foreign = own.keys() - weights.keys(), weights.keys() - own.keys()
    if missing or foreign:
        first = f"{min(missing)} is missing" if missing else f"{min(foreign)} is foreign to it"
        raise BundleError(
            f"{wanted.weights.name} holds no weights of {wanted.model}: {first} ({len(missing)} missing and "
            f"{len(foreign)} foreign in all); name the architecture that they are of."
        )
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            has, needs = ("×".join(map(str, each.shape)) or "one number" for each in (weights[name], tensor))
            raise BundleError(
                f"{name} in {wanted.weights.name} is {has}, and in {wanted.model} {needs}; name the architecture, and "
                "with --size the side in pixels, that the weights are of."
            )


@torch.no_grad()
def _check_answers(network: TimmClassifier, home: Home) -> None:
    """Have it answer two grey pictures: shapes that fit are no promise that it runs."""
    pixels = torch.full((2, home.channels, home.resolution, home.resolution), 0.5)
    try:
        logits = network(pixels)
    except Exception as error:  # each of a thousand architectures has its own ways to fail
        raise BundleError(
            f"The model can't answer on pictures of {network.size} × {network.size} pixels; say with --size what side "
            "it was trained on."
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, len(home.classes)) or not logits.isfinite().all():
        raise BundleError("The model doesn't answer with one finite number a class, so that it can't be a classifier.")
