"""What a site's update holds under each strategy, and that noise is among it where it trains privately."""

import math

import numpy as np
import pytest
import torch

from core.federation.leaks.inversion import SearchSettings, invert_steps
from core.federation.plan import HEAD
from tests.federation.hospitals import plan, scans
from training.privacy.inversion import Case, sent


@pytest.fixture(scope="module")
def network():
    made = plan(width=8).network()
    made.load_state_dict(plan().first_state(made))
    return made.eval()


def update(network, case):
    pixels, labels = scans(0, 1)
    return sent(network, pixels, labels, case, HEAD, np.random.default_rng(0))


def test_a_strategy_sends_what_it_shares(network):
    whole, own_norms, shared = (update(network, Case(name)) for name in ("fedavg", "fedbn", "medfedpure"))
    assert set(whole) == {name for name, _ in network.named_parameters()}
    assert set(whole) - set(own_norms) == {name for name in whole if "bn" in name or "downsample.1" in name}
    assert set(own_norms) - set(shared) == {f"{HEAD}.weight", f"{HEAD}.bias"}


def test_a_private_update_is_mostly_noise(network):
    private = update(network, Case("fedavg", private=True))
    numbers = torch.cat([value.flatten() for value in private.values()])
    assert numbers.norm().item() == pytest.approx(math.sqrt(len(numbers)), rel=0.05)


def test_without_the_head_the_label_has_to_be_told(network):
    gradients, settings = update(network, Case("medfedpure")), SearchSettings(iterations=2)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="the label can't be read"):
        list(invert_steps(network, gradients, (1, 32, 32), generator, settings))
    *_, last = invert_steps(network, gradients, (1, 32, 32), generator, settings, label=0)
    assert last.estimate.shape == (1, 1, 32, 32)
