"""Hospitals and federated averaging, against numbers solved by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from core.federation.averaging import (
    ClientSettings,
    Update,
    client_update,
    next_states,
    personal_names,
    weighted_average,
)
from core.federation.hospitals import PROFILES, Hospital, every_look, make_hospitals, real_hospitals, site_look
from core.models.experts import Gate, MixtureOfExperts
from core.models.resnet import NarrowResNet18

SETTINGS = ClientSettings(steps=1, batch=2, lr=0.5, momentum=0.0, weight_decay=0.0)
LABELS = np.repeat([0, 1], [80, 40])
GROUPS = [str(index // 2) for index in range(len(LABELS))]


def numbers(seed=0):
    return torch.Generator().manual_seed(seed)


def site(gain=1.0, gamma=1.0, coarseness=1.0, noise=0.0):
    return Hospital("Site", "", (), gain, gamma, coarseness, noise)


def squared_error(network, pixels, labels):
    return (network(pixels).squeeze(1) - labels).square().mean()


def line(weight):
    """y = weight · x, without a bias."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, weight)
    return network


def updated(network, x, y, settings=SETTINGS, **more):
    return client_update(network, torch.tensor(x)[:, None], torch.tensor(y), settings, numbers(), **more)


def test_a_hospital_descends_its_own_loss():
    """Mean of (w x − y)² over (1, 2) and (2, 2) at w = 0: the gradient is −(2 + 4) = −6, so w = 0.5 · 6 = 3."""
    network = line(0.0)
    update = updated(network, [1.0, 2.0], [2.0, 2.0], loss=squared_error)
    assert update.state["weight"].item() == pytest.approx(3.0)
    assert update.count == 2
    assert network.weight.item() == 0.0


def test_a_round_of_federated_averaging_by_hand():
    """From w = 1, one step of 0.5: x = 1, y = 3 (3 images) → 3; x = 2, y = 0 (1 image) → −3; (3 · 3 − 3) / 4 = 1.5."""
    first = updated(line(1.0), [1.0] * 3, [3.0] * 3, loss=squared_error)
    second = updated(line(1.0), [2.0], [0.0], loss=squared_error)
    assert (first.state["weight"].item(), second.state["weight"].item()) == (3.0, -3.0)
    for state in next_states([first, second]):
        assert state["weight"].item() == 1.5


def test_momentum_and_decay_are_those_of_the_settings():
    """w = 1, gradient 2 (w − 0) + 0.5 w: steps of 0.1 give 0.75, then velocity 0.5 · 2.5 + 1.875 = 3.125 → 0.4375."""
    settings = ClientSettings(steps=2, batch=1, lr=0.1, momentum=0.5, weight_decay=0.5)
    update = updated(line(1.0), [1.0], [0.0], settings, loss=squared_error)
    assert update.state["weight"].item() == pytest.approx(0.4375)


def test_every_image_is_drawn_once_before_any_is_drawn_again():
    seen = []

    def prepare(pixels, generator):
        seen.extend(pixels.flatten().tolist())
        return pixels

    settings = ClientSettings(steps=3, batch=2, lr=0.0)
    updated(line(1.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 6, settings, prepare=prepare, loss=squared_error)
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]
    assert seen != sorted(seen)


def test_the_default_loss_is_the_cross_entropy():
    """Two classes, logits 0, label 0: the gradient of the first weight is p − 1 = −½, so a step of 0.5 gives ¼."""
    network = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(network.weight)
    assert updated(network, [1.0], [0]).state["weight"].flatten().tolist() == [0.25, -0.25]


def test_what_is_frozen_keeps_its_weights_and_its_statistics():
    experts = [nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 2)).requires_grad_(False) for _ in "ab"]
    mixture = MixtureOfExperts(experts, Gate(1, 2, 2))
    before = {name: value.clone() for name, value in mixture.state_dict().items()}
    update = client_update(
        mixture, torch.rand((4, 1, 4, 4), generator=numbers()), torch.zeros(4).long(), SETTINGS, numbers()
    )
    changed = {name.split(".")[0] for name, value in update.state.items() if not torch.equal(value, before[name])}
    assert changed == {"gate"}
    assert all(torch.equal(value, before[name]) for name, value in mixture.state_dict().items())


def test_the_average_weighs_by_images_and_rounds_counters():
    first = {"running_mean": torch.tensor([0.0, 4.0]), "num_batches_tracked": torch.tensor(10)}
    second = {"running_mean": torch.tensor([8.0, 0.0]), "num_batches_tracked": torch.tensor(3)}
    average = weighted_average([first, second], [3, 1])
    assert average["running_mean"].tolist() == [2.0, 3.0]
    assert average["num_batches_tracked"].item() == 8  # 33 / 4
    assert average["num_batches_tracked"].dtype == torch.long


def test_averaging_equals_changes_nothing():
    state = {"weight": torch.randn(1000, generator=numbers())}
    assert torch.equal(weighted_average([state] * 3, [995, 869, 234])["weight"], state["weight"])


@pytest.mark.parametrize(
    ("states", "counts", "sentence"),
    [
        ([], [], "0 states and 0 counts"),
        ([{"a": torch.zeros(1)}], [1, 2], "1 states and 2 counts"),
        ([{"a": torch.zeros(1)}] * 2, [0, 0], "nor all be 0"),
        ([{"a": torch.zeros(1)}] * 2, [2, -1], "must not be negative"),
        ([{"a": torch.zeros(1)}, {"b": torch.zeros(1)}], [1, 1], "different entries"),
    ],
)
def test_states_that_do_not_fit_are_refused(states, counts, sentence):
    with pytest.raises(ValueError, match=sentence):
        weighted_average(states, counts)


def test_what_is_personal_stays_with_its_hospital():
    updates = [
        Update({"shared": torch.tensor([0.0]), "own": torch.tensor([1.0])}, 1),
        Update({"shared": torch.tensor([4.0]), "own": torch.tensor([2.0])}, 3),
    ]
    states = next_states(updates, {"own"})
    assert [state["shared"].item() for state in states] == [3.0, 3.0]
    assert [state["own"].item() for state in states] == [1.0, 2.0]


def test_batch_norm_and_the_head_are_personal():
    network = NarrowResNet18(1, 2, width=2)
    names = personal_names(network, "network.fc")
    assert {"network.bn1.running_mean", "network.layer2.0.downsample.1.weight", "network.fc.bias"} <= names
    shared = set(network.state_dict()) - names
    assert shared == {name for name, value in network.state_dict().items() if value.dim() == 4}
    with pytest.raises(ValueError, match="no module named 'head'"):
        personal_names(network, "head")


def test_every_image_has_one_hospital_and_no_group_has_two():
    hospitals = make_hospitals(LABELS, GROUPS)
    assert sorted(index for hospital in hospitals for index in hospital.indices) == list(range(len(LABELS)))
    homes = [{GROUPS[index] for index in hospital.indices} for hospital in hospitals]
    assert sum(map(len, homes)) == len(set(GROUPS))


@pytest.mark.parametrize("seed", range(20))
def test_every_hospital_sees_each_class(seed):
    for hospital in make_hospitals(LABELS, range(len(LABELS)), alpha=0.01, seed=seed):
        assert (np.bincount(LABELS[list(hospital.indices)], minlength=2) >= 3).all()


def test_a_small_concentration_skews_the_classes_and_a_large_one_does_not():
    def shares(alpha):
        homes = [LABELS[list(hospital.indices)] for hospital in make_hospitals(LABELS, range(120), alpha=alpha)]
        return [home.mean() for home in homes]

    assert np.ptp(shares(0.1)) > 0.3
    assert np.ptp(shares(1e4)) < 0.1


def test_the_seed_decides_who_goes_where():
    same, again, other = (make_hospitals(LABELS, GROUPS, seed=seed) for seed in (1, 1, 2))
    assert same == again
    assert same != other


@pytest.mark.parametrize(
    ("labels", "groups", "more", "sentence"),
    [
        (LABELS, GROUPS, {"count": 4}, "from 1 to 3, not 4"),
        (LABELS, GROUPS, {"alpha": 0}, "above 0"),
        (LABELS, GROUPS[1:], {}, "120 labels and 119 groups"),
        ([0, 0, 0, 1, 1, 1], ["a", "b", "c", "d", "d", "e"], {}, "Class 1 has only 2 groups"),
    ],
)
def test_what_can_not_be_dealt_out_is_refused(labels, groups, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_hospitals(labels, groups, **more)


def test_gain_and_gamma_by_hand():
    """0.5 · 0.4² = 0.08; 2 · 0.8² = 1.28, which is as white as a screen gets."""
    pixels = torch.tensor([0.4, 0.8]).view(2, 1, 1, 1)
    assert site_look(pixels, site(gain=0.5, gamma=2.0), numbers()).flatten()[0].item() == pytest.approx(0.08)
    assert site_look(pixels, site(gain=2.0, gamma=2.0), numbers()).flatten()[1].item() == 1.0


def test_a_site_without_a_look_leaves_scans_as_they_are():
    pixels = torch.rand((2, 3, 8, 8), generator=numbers())
    assert torch.allclose(site_look(pixels, site(), numbers()), pixels)


def test_coarse_sampling_loses_fine_detail_and_keeps_the_rest():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    fine, flat = board.float()[None, None], torch.full((1, 1, 8, 8), 0.3)
    assert site_look(fine, site(coarseness=2.0), numbers())[..., 2:-2, 2:-2].std() < 0.1 * fine.std()
    assert torch.allclose(site_look(flat, site(coarseness=2.0), numbers()), flat)


def test_noise_on_black_has_the_mean_of_a_rayleigh_distribution():
    black = torch.zeros(1, 1, 200, 200)
    mean = site_look(black, site(noise=0.1), numbers()).mean().item()
    assert mean == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.02)


def test_every_look_is_that_of_its_hospital_and_the_same_again():
    hospitals = make_hospitals(LABELS, GROUPS)
    pixels = torch.rand((2, 1, 8, 8), generator=numbers())
    looks = every_look(pixels, hospitals, seed=5)
    assert looks.shape == (3, 2, 1, 8, 8)
    assert torch.equal(looks[2], site_look(pixels, hospitals[2], numbers(7)))
    assert torch.equal(looks, every_look(pixels, hospitals, seed=5))
    assert looks.min() >= 0 and looks.max() <= 1
    assert len({profile["name"] for profile in PROFILES}) == 3


def test_real_hospitals_have_their_own_scans_as_they_are():
    sites = ["B", "A", "B", "C", "A"]
    hospitals = real_hospitals(sites, {"A": ("Hospital A", "The first.")}, smallest=2)
    assert [(each.name, each.indices) for each in hospitals] == [("Hospital A", (1, 4)), ("B", (0, 2))]
    pixels = torch.rand(2, 1, 8, 8, generator=numbers())
    assert torch.allclose(site_look(pixels, hospitals[0], numbers()), pixels)
