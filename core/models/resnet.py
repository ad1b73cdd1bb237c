"""ResNet classifiers, with their normaliser inside so that pixels stay in [0, 1] everywhere else."""

from collections.abc import Callable

import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional

from core.models.stages import Stage

PIXEL_MEAN = 0.5
PIXEL_STD = 0.25
HALF_WIDTH = 32


class NarrowResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) with fewer channels than the paper's 64-128-256-512.

    Parameters
    ----------
    in_channels : int
        1 for grey scans, 3 for colour.
    class_count : int
        Number of logits.
    width : int
        Channels of the first stage, doubled from stage to stage; 32 is half width (2.8 M parameters), 24 has 1.6 M.
    shrink : int
        Averages squares of so many pixels before anything else: 2 looks at half the resolution, in a quarter of the
        time.
    mirrored : bool
        Answers with the mean of the logits for a scan and for its mirror image, left for right, so that an attack has
        to mislead both. Feature maps are those of the scan alone.
    """

    def __init__(
        self, in_channels: int, class_count: int, width: int = HALF_WIDTH, shrink: int = 1, mirrored: bool = False
    ):
        super().__init__()
        self.shrink, self.mirrored = shrink, mirrored
        self.network = ResNet(
            BasicBlock,  # type: ignore[arg-type]  # timm writes an instance where it takes the class
            (2, 2, 2, 2),
            in_chans=in_channels,
            num_classes=class_count,
            channels=(width, 2 * width, 4 * width, 8 * width),
            stem_width=width,
        )

    def feature_maps(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, 4 · width, H / 16, W / 16) after the third of four stages.

        With `shrink` the maps are so many times smaller. The fourth stage would leave no more than 4 × 4 cells of a
        scan of 128 × 128: too coarse to say where a network looked.
        """
        maps = self._stem(pixels)
        for layer in ("layer1", "layer2", "layer3"):
            maps = self.network.get_submodule(layer)(maps)
        return maps

    def classify(self, maps: Tensor) -> Tensor:
        """Feature maps, as `feature_maps` returns them → (B, classes) logits."""
        return self.network.forward_head(self.network.get_submodule("layer4")(maps))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits."""
        if not self.mirrored:
            return self.classify(self.feature_maps(pixels))
        both = _paired(lambda sides: self.classify(self.feature_maps(sides)))
        return both(_with_mirror_image(pixels)).mean(1)

    def stages(self) -> tuple[Stage, ...]:
        """The stem, the eight residual blocks, and the head."""
        net = self.network
        stem = Stage("stem", ("network.conv1", "network.bn1", "network.act1", "network.maxpool"), self._stem)
        layers = {f"layer{number}": getattr(net, f"layer{number}") for number in (1, 2, 3, 4)}
        blocks = [
            Stage(f"{name}.{index}", (f"network.{name}.{index}",), block)
            for name, layer in layers.items()
            for index, block in enumerate(layer)
        ]
        head = Stage("head", ("network.global_pool", "network.fc"), net.forward_head)
        if not self.mirrored:
            return stem, *blocks, head
        first = stem._replace(run=lambda pixels: _paired(self._stem)(_with_mirror_image(pixels)))
        last = head._replace(run=lambda maps: _paired(net.forward_head)(maps).mean(1))
        return first, *(block._replace(run=_paired(block.run)) for block in blocks), last

    def _stem(self, pixels: Tensor) -> Tensor:
        normalised = (pixels - PIXEL_MEAN) / PIXEL_STD
        if self.shrink > 1:
            normalised = functional.avg_pool2d(normalised, self.shrink)
        net = self.network
        return net.maxpool(net.act1(net.bn1(net.conv1(normalised))))


def _with_mirror_image(pixels: Tensor) -> Tensor:
    """(B, C, H, W) → (B, 2, C, H, W)."""
    return torch.stack((pixels, pixels.flip(-1)), dim=1)


def _paired(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What does to the (B, 2, …) sides of each scan what `run` does to (B, …)."""
    return lambda sides: run(sides.flatten(0, 1)).unflatten(0, sides.shape[:2])
