import time

import torch
from torch import nn

from core.models.acquisition import PLANES, SEQUENCES, AcquisitionNetwork
from core.models.resnet import NarrowResNet18

MOST_BYTES = 200 * 1024  # of its weights, in fp16


def test_one_number_a_plane_and_a_sequence():
    planes, sequences = AcquisitionNetwork().eval()(torch.rand(3, 1, 128, 128))
    assert planes.shape == (3, len(PLANES)) and sequences.shape == (3, len(SEQUENCES))


def test_it_is_small():
    assert 2 * sum(value.numel() for value in AcquisitionNetwork().state_dict().values()) <= MOST_BYTES


def test_it_is_quicker_than_the_classifier():
    classifier, acquisition = NarrowResNet18(1, 2).eval(), AcquisitionNetwork().eval()
    assert fastest(acquisition) < fastest(classifier)


def fastest(network: nn.Module) -> float:
    """Return the fewest seconds for one scan in thirty: whoever else uses the cores is no fault of the network."""
    pixels, seconds = torch.rand(1, 1, 128, 128), []
    with torch.no_grad():
        for _ in range(30):
            start = time.perf_counter()
            network(pixels)
            seconds.append(time.perf_counter() - start)
    return min(seconds)
