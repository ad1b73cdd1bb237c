"""Answers to samples, before damage and after it, on a network that is small enough to solve by hand."""

from types import SimpleNamespace

import torch
from torch import nn

from core.faults import Fault
from core.faults.guard import Guard
from core.faults.ranges import Ranges
from core.faults.sample_answers import sample_answers
from core.faults.samples import Samples


class Brightness(nn.Module):
    """Says “bright” where the weighted mean of a scan is above one half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]), requires_grad=False)

    def forward(self, pixels):
        bright = self.weight * pixels.mean((1, 2, 3))
        return torch.stack([torch.full_like(bright, 0.5), bright], 1)


BUNDLE = SimpleNamespace(classes=("dark", "bright"), classifiers={"one": Brightness()}, mae=None)
SAMPLES = Samples(torch.tensor([0.0, 0.2, 0.6, 0.9]).reshape(4, 1, 1, 1), torch.tensor([0, 0, 1, 1]))
SIGN, TOP = 31, 30
ALL = frozenset(range(4))


def answers(*faults, **guard):
    return sample_answers(BUNDLE, "one", SAMPLES, faults, **guard)


def activation(bit):
    """Of the network's second output, brightness itself: at a scan's exit it is 0, 0.2, 0.6 or 0.9."""
    return Fault("network", 1, bit, kind="activation")


def test_nothing_flipped_changes_nothing():
    found = answers()
    assert found.before == found.after == ("dark", "dark", "bright", "bright")
    assert (found.turned, found.missing, found.kept) == (0, 0, 4)


def test_a_flipped_sign_turns_the_bright_ones():
    found = answers(Fault("weight", 0, SIGN))
    assert found.after == ("dark",) * 4 and (found.turned, found.missing, found.kept) == (2, 0, 2)


def test_the_top_bit_of_the_exponent_makes_numbers_go():
    """1.0 becomes infinite: of a black scan that is 0 · ∞, of the others ∞."""
    found = answers(Fault("weight", 0, TOP))
    assert found.after == (None,) * 4 and (found.turned, found.missing, found.kept) == (0, 4, 0)
    assert BUNDLE.classifiers["one"].weight.item() == 1, "the shared network is left alone"


def test_a_guard_holds_back_every_answer_of_damaged_weights():
    guard, struck = Guard(BUNDLE.classifiers["one"]), Fault("weight", 0, SIGN)
    assert answers(struck, guard=guard).withheld == ALL
    repaired = answers(struck, guard=guard, repair=True)
    assert repaired.after == repaired.before and not repaired.withheld


def test_a_guard_holds_back_the_scans_whose_activations_leave_their_limits():
    """The sign turns 0.2, 0.6 and 0.9 negative, and 0 into −0, which is no less than the lowest value allowed."""
    guard = Guard(BUNDLE.classifiers["one"], ranges=Ranges({"network": (0.0, 1.0)}, n=4))
    found = answers(activation(SIGN), guard=guard)
    assert found.withheld == {1, 2, 3} and (found.turned, found.missing, found.kept) == (0, 0, 1)
    assert answers(activation(0), guard=guard).withheld == frozenset()
    cut = answers(activation(SIGN), guard=guard, repair=True)
    assert not cut.withheld and cut.after == ("dark",) * 4 and cut.turned == 2
    assert answers(activation(SIGN)).withheld == frozenset(), "nobody watches without a guard"


def test_damaged_weights_hold_back_all_where_activations_are_watched_too():
    guard = Guard(BUNDLE.classifiers["one"], ranges=Ranges({"network": (-9.0, 9.0)}, n=4))
    assert answers(Fault("weight", 0, SIGN), guard=guard).withheld == ALL
