"""ResNet classifiers, with their normaliser inside so that pixels stay in [0, 1] everywhere else."""

from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

PIXEL_MEAN = 0.5
PIXEL_STD = 0.25


class HalfResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) at half width: 32-64-128-256 channels, 2.8 M parameters.

    Parameters
    ----------
    in_channels : int
        1 for grey scans, 3 for colour.
    class_count : int
        Number of logits.
    """

    def __init__(self, in_channels: int, class_count: int):
        super().__init__()
        self.network = ResNet(
            BasicBlock,
            (2, 2, 2, 2),
            in_chans=in_channels,
            num_classes=class_count,
            channels=(32, 64, 128, 256),
            stem_width=32,
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits."""
        return self.network((pixels - PIXEL_MEAN) / PIXEL_STD)
