import pytest
import torch
from torch import nn

from core.faults.ranges import Ranges, learn_ranges, out_of_range
from core.models.experts import resnet_mixture
from core.models.resnet import NarrowResNet18
from core.models.stages import Stage

NETWORKS = [
    NarrowResNet18(1, 2, width=4),
    NarrowResNet18(1, 2, width=4, mirrored=True),
    resnet_mixture(1, 2, count=2, width=4),
]


class Doubling(nn.Module):
    """x → 2x → 2x − 1, in two stages."""

    def stages(self):
        return Stage("double", (), lambda x: 2 * x), Stage("shift", (), lambda x: x - 1)


@pytest.fixture
def ranges():
    return Ranges({"relu": (-0.5, 3.0), "mirror": (-3.0, 0.5)}, n=1)


def test_ranges_are_the_extremes_widened_by_the_margin():
    pixels = torch.tensor([[0.0, 0.5], [0.25, 1.0]])
    learned = learn_ranges(Doubling(), pixels, batch=1, margin=0.5)
    assert learned.limits == {"double": (-1.0, 3.0), "shift": (-2.0, 2.0)}
    assert learned.n == 2 and Ranges.from_json(learned.to_json()) == learned


def test_a_scan_outside_is_named_and_its_neighbours_are_not():
    learned = learn_ranges(Doubling(), torch.tensor([[0.0, 1.0]]))
    pixels = torch.tensor([[0.0, 1.0], [0.5, 9.0], [float("nan"), 0.5], [-float("inf"), 0.5]])
    assert out_of_range(Doubling(), pixels, learned).tolist() == [False, True, True, True]


def test_clipping_keeps_what_lies_inside(ranges):
    values = torch.tensor([[-0.5, 0.1, 3.0, 1e30, -1e30, float("inf"), -float("inf"), float("nan")]])
    assert ranges.clipped("relu", values).tolist() == [[-0.5, pytest.approx(0.1), 3, 3, -0.5, 3, -0.5, -0.5]]
    assert ranges.clipped("mirror", values)[0, -1] == 0.5
    assert not ranges.outside("relu", ranges.clipped("relu", values)).any()


def test_limits_themselves_are_inside(ranges):
    assert ranges.outside("relu", torch.tensor([[-0.5, 3.0], [-0.51, 0.0]])).tolist() == [False, True]


@pytest.mark.parametrize("network", NETWORKS)
def test_real_networks_stay_within_what_they_learned(network):
    pixels = torch.rand((3, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    network.eval()
    learned = learn_ranges(network, pixels, batch=2)
    assert not out_of_range(network, pixels, learned).any()
    tight = Ranges({stage: (0.0, 0.0) for stage in learned.limits}, n=3)
    assert out_of_range(network, pixels, tight).all()


def test_nothing_is_learned_from_no_scans_or_a_damaged_network():
    with pytest.raises(ValueError, match="at least one"):
        learn_ranges(Doubling(), torch.zeros((0, 2)))
    with pytest.raises(ValueError, match="isn't finite"):
        learn_ranges(Doubling(), torch.tensor([[float("nan"), 1.0]]))
