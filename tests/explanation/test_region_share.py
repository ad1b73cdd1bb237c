"""How much of an answer rests on a region, on a network that looks at one place alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core import Bundle
from core.explanation.region_share import region_share


class Spot(nn.Module):
    """Answers by the brightness of one square, whatever else there is."""

    def forward(self, pixels: Tensor) -> Tensor:
        bright = pixels[:, :, 40:50, 40:50].mean((1, 2, 3))
        return torch.stack([-bright, bright], dim=1)


@pytest.fixture
def spotted(bundle: Bundle) -> Bundle:
    return replace(bundle, classifiers={"spot": Spot()})


def test_the_share_is_that_of_what_the_network_looks_at(spotted: Bundle) -> None:
    pixels, region = np.zeros((1, 128, 128), np.float32), np.zeros((128, 128), bool)
    pixels[:, 20:84, 20:84] = 0.5
    region[40:50, 40:45] = True
    found = region_share(pixels, region, spotted, "spot")
    assert found is not None and found.of == "body" and found.method == "integrated-gradients"
    assert found.inside == pytest.approx(0.5, abs=1e-3)
    assert found.size == pytest.approx(50 / 64**2, rel=0.1)
    noise = np.random.default_rng(0).choice([-8 / 255, 8 / 255], pixels.shape).astype(np.float32)
    noisy = (pixels + 0.03 + noise).clip(0, 1)  # half of the air is brighter than what is held for a head
    attacked = region_share(noisy, region, spotted, "spot")
    assert attacked is not None and attacked.size == pytest.approx(found.size, rel=0.05)
    plain = region_share(pixels, region, replace(spotted, modalities=()), "spot")
    assert plain is not None and plain.of == "picture" and plain.size == pytest.approx(50 / 128**2)


def test_what_holds_no_pixel_or_rests_on_nothing_has_no_share(spotted: Bundle) -> None:
    pixels, region = np.full((1, 128, 128), 0.5, np.float32), np.zeros((128, 128), bool)
    assert region_share(pixels, region, spotted, "spot") is None
    region[40:50, 40:50] = True
    assert region_share(np.zeros_like(pixels), region, spotted, "spot") is None
