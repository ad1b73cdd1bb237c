"""Gradient inversion: patches solved by hand, scans from real gradients, and where nothing is given away."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from core.faults.sites import network_digest
from core.federation.leaks.gradients import leaked_label, rounded, shared_gradient, with_noise
from core.federation.leaks.inversion import (
    EMBEDDING,
    POSITIONS,
    SearchSettings,
    closed_form_steps,
    invert_steps,
    quality,
    total_variation,
)
from core.federation.leaks.token_inversion import token_from_bytes, token_steps
from core.models.mae import patchify
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from core.models.vit import TokenViT
from core.scans import load_scan
from core.scans.preparation import prepare

SHAPE = (1, 128, 128)
SHORT = SearchSettings(iterations=12, smoothness=0, every=4)


def numbers(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(network, spread=1.0, seed=0):
    """The network with weights of its own generator, as `_placed` of a bundle leaves it."""
    generator = numbers(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, spread / parameter[0].numel() ** 0.5, generator=generator)
    return network.eval().requires_grad_(False)


def vit(patch=16, depth=2, **config):
    return drawn(TokenViT(1, 2, patch=patch, depth=depth, **config))


def last(network, gradients, shape=SHAPE):
    return list(invert_steps(network, gradients, shape, numbers()))[-1]


@pytest.fixture(scope="module")
def scans(sample_files):
    return torch.cat([prepare(load_scan(file).frame(), 128, 1) for file in sample_files])


@pytest.fixture(scope="module")
def network():
    return vit()


@pytest.fixture(scope="module")
def gradients(network, scans):
    return shared_gradient(network, scans[:1], torch.tensor([0]))


def test_patches_solve_a_system_made_by_hand():
    """Four colour patches of 2 × 2, eight numbers a token, two tokens before them: G = Σ δ xᵀ of normalised patches."""
    pixels = torch.rand((1, 3, 4, 4), generator=numbers())
    errors = torch.randn((1, 6, 8), generator=numbers(1))
    patches = patchify((pixels - 0.5) / 0.25, 2)[0]
    embedding = (errors[0, 2:].T @ patches).reshape(8, 3, 2, 2)
    steps = list(closed_form_steps(errors, embedding, (3, 4, 4)))
    assert steps[-1].estimate == pytest.approx(pixels, abs=1e-5)
    assert [step.index for step in steps] == list(range(len(steps)))


def test_the_gradient_is_that_of_the_cross_entropy_and_the_network_stays_as_it_is(network, gradients, scans):
    before = network_digest(network)
    shared_gradient(network, scans[:1], torch.tensor([0]))
    last(network, gradients)
    assert network_digest(network) == before
    assert not any(value.requires_grad or value.grad is not None for value in network.parameters())
    logits = network(scans[:1]).requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(logits, torch.tensor([0])), logits)
    assert torch.allclose(gradients["linear.bias"], slope[0], atol=1e-6)
    assert not any(name.startswith("polynomial") for name in gradients)


def test_a_transformer_gives_a_scan_away(network, gradients, scans):
    steps = list(invert_steps(network, gradients, SHAPE, numbers()))
    shown = [quality(scans[:1], step.estimate) for step in steps]
    assert shown[-1].psnr > 60
    assert min(shown[-1].ssim, shown[-1].nmi) > 0.95
    assert shown[0].psnr < 20
    losses = [step.loss for step in steps]
    assert losses == sorted(losses, reverse=True)


def test_as_many_patches_as_numbers_a_token_lack_one_direction_and_are_recovered_all_the_same(scans):
    fine = vit(patch=8, depth=3)
    gradients = shared_gradient(fine, scans[6:7], torch.tensor([1]))
    sizes = torch.linalg.svdvals(gradients[POSITIONS][0, 1:].double())
    assert len(sizes) == 256
    assert sizes[-1] < 1e-6 * sizes[0]
    assert quality(scans[6:7], last(fine, gradients).estimate).psnr > 40


def test_a_sure_answer_hides_nothing_until_it_is_rounded(scans):
    network = vit()
    logits = network(scans[:1])[0]
    network.linear.weight.mul_(18 / (logits.max() - logits.min()))
    label = network(scans[:1]).argmax(1)
    assert network(scans[:1]).softmax(1).max() == 1
    gradients = shared_gradient(network, scans[:1], label)
    assert leaked_label(gradients) == label.item()
    assert quality(scans[:1], last(network, gradients).estimate).psnr > 60
    half = rounded(gradients)
    with pytest.raises(ValueError, match="0 throughout"):
        last(network, half)


def test_rounding_costs_some_and_noise_all(network, gradients, scans):
    half = quality(scans[:1], last(network, rounded(gradients)).estimate).psnr
    assert 25 < half < 60
    noisy = with_noise(gradients, 1e-3, numbers())
    assert quality(scans[:1], last(network, noisy).estimate).psnr < 12


def test_noise_is_counted_in_the_norm_of_all_gradients():
    gradients = {"a": torch.full((2, 100_000), 3.0), "b": torch.zeros(0)}
    added = with_noise(gradients, 0.1, numbers())["a"] - 3
    assert added.std().item() == pytest.approx(0.3 * 200_000**0.5, rel=0.01)
    with pytest.raises(ValueError, match="at least 0"):
        with_noise(gradients, -1, numbers())


def test_a_batch_of_scans_is_not_told_apart(network, scans):
    gradients = shared_gradient(network, scans[:8], torch.arange(8) % 2)
    estimate = last(network, gradients).estimate
    assert max(quality(scan.unsqueeze(0), estimate).psnr for scan in scans[:8]) < 20


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_last_bias_tells_the_label(label):
    network = drawn(NarrowResNet18(1, 3, width=4))
    pixels = torch.rand((1, 1, 32, 32), generator=numbers())
    assert leaked_label(shared_gradient(network, pixels, torch.tensor([label]))) == label


def test_a_network_without_positions_is_searched():
    network = drawn(NarrowResNet18(1, 2, width=4))
    before, everybody = network_digest(network), torch.get_rng_state()
    pixels = torch.rand((1, 1, 32, 32), generator=numbers(1))
    gradients = shared_gradient(network, pixels, torch.tensor([1]))
    runs = [list(invert_steps(network, gradients, (1, 32, 32), numbers(seed), SHORT)) for seed in (0, 0, 1)]
    assert [step.index for step in runs[0]] == [3, 7, 11]
    start = pixels.roll(1, 3)
    led = list(invert_steps(network, gradients, (1, 32, 32), numbers(), SHORT, start))[-1]
    assert (led.estimate - start).abs().max() < (runs[0][-1].estimate - start).abs().max()
    assert torch.equal(runs[0][-1].estimate, runs[1][-1].estimate)
    assert not torch.equal(runs[0][-1].estimate, runs[2][-1].estimate)
    assert 0 <= runs[0][-1].estimate.min() <= runs[0][-1].estimate.max() <= 1
    assert network_digest(network) == before
    assert torch.equal(torch.get_rng_state(), everybody)


def test_a_token_is_searched_for_and_what_a_server_sees_is_none(scans):
    network = vit(patch=32, depth=1, width=64, heads=4)
    before = network_digest(network)
    token = network.token(scans[:1])[0]
    found = list(token_steps(network, token, SHAPE, numbers(), SHORT))
    assert found[-1].loss < found[0].loss < 1
    seen = token_from_bytes(np.random.default_rng(0).bytes(20_000))
    blind = list(token_steps(network, seen, SHAPE, numbers(), SHORT))
    assert blind[-1].loss > 0.5 > found[-1].loss
    assert network_digest(network) == before


def test_bytes_are_read_from_the_middle_as_numbers():
    data = b"head" + bytes([1, 3, 1, 3]) + b"foot"
    assert token_from_bytes(data, 4, "u1").tolist() == [-1, 1, -1, 1]
    words = np.arange(100, dtype="<u8").tobytes()
    assert token_from_bytes(words, 2).tolist() == [-1, 1]
    assert token_from_bytes(bytes(100), 4).tolist() == [0] * 4
    with pytest.raises(ValueError, match="12 bytes don't hold 2 numbers of 8 bytes"):
        token_from_bytes(data, 2)


def test_quality_by_hand():
    """Two equally common values: 1 where one image tells the other, 0 where it doesn't; an error of ½ is 6.02 dB."""
    left = torch.zeros(1, 1, 8, 8)
    left[..., 4:] = 0.5
    assert quality(left, left)[1:] == (1, 1)
    assert quality(left, 0.5 - left).psnr == pytest.approx(6.0206, abs=1e-3)
    assert quality(left, 0.5 - left).nmi == pytest.approx(1)
    assert quality(left, left.transpose(2, 3).contiguous()).nmi == pytest.approx(0, abs=1e-9)


def test_total_variation_by_hand():
    """Rows 0 1 and 1 1: differences beside 1 and 0, below 1 and 0."""
    assert total_variation(torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])).item() == 1.0


def test_what_cannot_be_inverted_is_refused(network, gradients):
    with pytest.raises(ValueError, match="own shape"):
        last(network, gradients, (3, 128, 128))
    with pytest.raises(ValueError, match="infinite"):
        last(network, gradients | {EMBEDDING: gradients[EMBEDDING] / 0})
    with pytest.raises(ValueError, match="0 throughout"):
        last(network, gradients | {POSITIONS: torch.eye(65, 1).expand(1, 65, 256)})  # that of the class token alone
    with pytest.raises(ValueError, match="No bias"):
        leaked_label({})
    with pytest.raises(ValueError, match="at least one iteration"):
        SearchSettings(iterations=0)
    once = drawn(MedMamba(1, 2, width=8, depths=(1, 1)))
    shared = shared_gradient(once, torch.rand((1, 1, 16, 16), generator=numbers()), torch.tensor([0]))
    with pytest.raises(ValueError, match="choose a ResNet or a ViT"):
        last(once, shared, (1, 16, 16))
