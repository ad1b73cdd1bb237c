"""Any classifier of timm, so that somebody's own can join a bundle."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class TimmForm(NamedTuple):
    """What timm says of an architecture.

    size: side in pixels of the squares that it takes where nobody says another; fixed: whether the weights hang on it;
    first, head: the names of its first convolution and of its last layer, None where timm names none, or several.
    """

    size: int
    fixed: bool
    first: str | None
    head: str | None


def timm_form(model: str) -> TimmForm:
    """What timm says of an architecture, by timm's name for it; ValueError, one sentence, where it knows none such."""
    # Names such as hf-hub:… would be downloaded.
    if not timm.is_model(model):
        near = get_close_matches(model, timm.list_models(), n=3)
        hint = f"perhaps {' or '.join(near)}" if near else "timm.list_models() names all"
        raise ValueError(f"timm {timm.__version__} knows no model named {model!r}; {hint}.")
    facts: dict[str, Any] = {"input_size": (3, 224, 224)}
    if known := timm.models.get_pretrained_cfg(model):
        facts = known.to_dict()
    named = (facts.get("first_conv"), facts.get("classifier"))
    first, head = (name if isinstance(name, str) else None for name in named)
    return TimmForm(int(facts["input_size"][-1]), bool(facts.get("fixed_input_size")), first, head)


class TimmClassifier(nn.Module):
    """A timm network behind what makes a bundle's pixels its input: size, channels, mean and standard deviation.

    Parameters
    ----------
    channels, class_count : int
        Of the bundle.
    model : str
        timm's name.
    size : int
        Side of the squares that the network takes, in pixels; others are resampled (bilinear, antialiased).
    network_channels : int
        1 or 3; where the bundle has one and the network three, each gets the same.
    order : sequence of int, optional
        For each class of the bundle the place of the network's logit; as they come by default.

    Attributes
    ----------
    mean, std : Tensor
        (1, network_channels, 1, 1) in pixel units, part of the weights.

    Raises
    ------
    ValueError
        timm has no such model, or it can't be made so; one sentence.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: int,
        class_count: int,
        model: str,
        size: int,
        network_channels: int,
        order: Sequence[int] = (),
    ):
        super().__init__()
        self.channels, self.size, self.order = network_channels, size, list(order)
        self.network = _network(model, class_count, network_channels, size)
        self.register_buffer("mean", torch.zeros(1, network_channels, 1, 1))
        self.register_buffer("std", torch.ones(1, network_channels, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] → (B, classes) logits."""
        if pixels.shape[-2:] != (self.size, self.size):
            pixels = interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        pixels = pixels.expand(-1, self.channels, -1, -1)
        logits = self.network((pixels - self.mean) / self.std)
        return logits[:, self.order] if self.order else logits


def _network(model: str, class_count: int, channels: int, size: int) -> nn.Module:
    form = timm_form(model)
    sized: dict[str, Any] = {"img_size": size} if form.fixed and size != form.size else {}
    try:
        return timm.create_model(model, pretrained=False, num_classes=class_count, in_chans=channels, **sized)
    except Exception as error:  # each of a thousand architectures has its own ways to refuse
        raise ValueError(
            f"timm can't make {model} for {channels} channels, {class_count} classes and {size} × {size} pixels."
        ) from error
