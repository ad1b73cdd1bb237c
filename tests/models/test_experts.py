"""Mixtures whose gate and experts are solved by hand."""

import pytest
import torch
from torch import Tensor, nn

from core.models.experts import (
    NONE_LEFT,
    Gate,
    MixtureOfExperts,
    combine,
    hardened,
    resnet_mixture,
    shared_once,
    spread_out,
    without,
)


class Says(nn.Module):
    """Gives the same answer to every scan."""

    def __init__(self, *answer: float):
        super().__init__()
        self.register_buffer("answer", torch.tensor(answer))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.answer.expand(len(pixels), -1)


def three(hard: bool = False) -> MixtureOfExperts:
    """Softmax of (0, ln 2, 0) is (¼, ½, ¼)."""
    return MixtureOfExperts([Says(4, 0), Says(0, 2), Says(0, 8)], Says(0, torch.log(torch.tensor(2.0)), 0), hard)


PIXELS = torch.zeros(2, 1, 64, 64)


def test_the_answer_is_the_weighted_sum_of_what_the_experts_say():
    opinions = three().opinions(PIXELS)
    assert opinions.weights.tolist() == [[0.25, 0.5, 0.25]] * 2
    assert opinions.logits.tolist() == [[[4, 0], [0, 2], [0, 8]]] * 2
    assert opinions.combined.tolist() == [[1, 3]] * 2
    assert torch.equal(three()(PIXELS), opinions.combined)


def test_a_hard_gate_asks_one_expert_and_learns_like_a_soft_one():
    assert three(hard=True)(PIXELS).tolist() == [[0, 2]] * 2
    scores = torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
    logits = torch.tensor([[[4.0], [0.0], [8.0]]])
    (hard,) = torch.autograd.grad(combine(hardened(scores.softmax(1)), logits).sum(), scores)
    (soft,) = torch.autograd.grad(combine(scores.softmax(1), logits).sum(), scores)
    assert torch.allclose(hard, soft) and soft.abs().sum() > 0.1


def test_those_left_share_the_weight_in_their_old_proportions():
    opinions = without(three().opinions(PIXELS), [True, True, False])
    assert torch.allclose(opinions.weights, torch.tensor([[1 / 3, 2 / 3, 0]]).expand(2, -1))
    assert torch.allclose(opinions.combined, torch.tensor([[4 / 3, 4 / 3]]).expand(2, -1))


def test_experts_whom_the_gate_ignored_share_equally_when_they_alone_are_left():
    assert without(three(hard=True).opinions(PIXELS), [True, False, True]).weights.tolist() == [[0.5, 0, 0.5]] * 2


@pytest.mark.parametrize(
    ("switched_on", "sentence"),
    [([False] * 3, NONE_LEFT), ([True], "The mixture has 3 experts, not 1; say for each whether it is on.")],
)
def test_an_impossible_choice_gets_one_sentence(switched_on, sentence):
    with pytest.raises(ValueError, match="^.+$") as error:
        without(three().opinions(PIXELS), switched_on)
    assert str(error.value) == sentence


def test_a_gate_sums_to_one_and_hangs_on_the_scan():
    torch_numbers = torch.Generator().manual_seed(0)
    pixels = torch.rand(4, 1, 64, 64, generator=torch_numbers)
    pixels[0] = 0
    mixture = resnet_mixture(1, 2, count=3, width=4, shrink=2).eval()
    with torch.no_grad():
        mixture.gate.keys *= 20
        opinions = mixture.opinions(pixels)
    assert torch.allclose(opinions.weights.sum(1), torch.ones(4))
    assert (opinions.weights >= 0).all()
    assert not torch.allclose(opinions.weights[0], opinions.weights[1])
    assert opinions.logits.shape == (4, 3, 2)


def test_the_gate_is_scaled_dot_product_attention():
    gate = Gate(1, 2, width=4).eval()
    with torch.no_grad():
        gate.query.weight.zero_()
        gate.query.bias.fill_(1)
        gate.keys.copy_(torch.stack([torch.ones(16), -torch.ones(16)]))
        assert torch.allclose(gate(torch.zeros(1, 1, 32, 32)), torch.tensor([[4.0, -4.0]]))  # 16 / √16


def test_what_all_experts_share_is_kept_once():
    network = three()
    weights = network.state_dict() | {"experts.1.answer": torch.tensor([4.0, 0.0]), "experts.2.own": torch.ones(1)}
    assert shared_once(weights).keys() == weights.keys()  # the third answers otherwise, and two alone share nothing
    weights["experts.2.answer"] = torch.tensor([4.0, 0.0])
    once = shared_once(weights)
    assert set(once) == {"experts.shared.answer", "gate.answer", "experts.2.own"}
    spread = spread_out(once, network.state_dict())
    assert all(torch.equal(spread[name], value) for name, value in weights.items()) and spread.keys() == weights.keys()
