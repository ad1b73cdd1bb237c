"""The token's size, the two heads by hand, and what the rest of the app asks of a classifier."""

import pytest
import torch

from core.explanation.attention import mae_attention
from core.faults import activation_sites
from core.models.mae import MaskedAutoencoder
from core.models.vit import TOKEN, PolynomialHead, TokenViT
from tests.attacks.tiny import numbers

SMALL = {"size": 32, "patch": 8, "width": 16, "depth": 2, "heads": 2, "hidden": 5}


def vit(channels: int = 1, **config) -> TokenViT:
    """The same weights at each call, ready to answer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TokenViT(channels, 3, **SMALL | config).eval()


def scans(count: int = 2, channels: int = 1, dtype=torch.float32) -> torch.Tensor:
    return torch.rand((count, channels, 32, 32), generator=numbers(), dtype=dtype)


def test_a_polynomial_head_solved_by_hand():
    head, token = PolynomialHead(2, 2), torch.zeros(1, TOKEN)
    token[0, :2] = torch.tensor([3.0, -1.0])
    with torch.no_grad():
        head.hidden.weight.zero_()
        head.hidden.weight[0, :2] = torch.tensor([1.0, 2.0])
        head.hidden.weight[1, :2] = torch.tensor([0.0, 4.0])
        head.hidden.bias.copy_(torch.tensor([1.0, 1.0]))  # hidden: 3 - 2 + 1 = 2 and -4 + 1 = -3, squared 4 and 9
        head.output.weight.copy_(torch.tensor([[1.0, 0.0], [0.5, -1.0]]))
        head.output.bias.copy_(torch.tensor([0.0, 10.0]))
        assert head(token).tolist() == [[4.0, 3.0]]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_token_is_of_unit_variance_whatever_the_scan(channels):
    network = vit(channels)
    with torch.no_grad():
        network.project.weight.mul_(50)
        for pixels in (scans(3, channels), torch.zeros(1, channels, 32, 32)):
            token = network.token(pixels)
            assert token.shape == (len(pixels), TOKEN)
            assert torch.allclose(token.mean(1), torch.zeros(len(pixels)), atol=1e-5)
            assert torch.allclose(token.var(1, correction=0), torch.ones(len(pixels)), atol=1e-3)


def test_both_heads_answer_on_the_same_token_and_the_network_with_the_linear_one():
    network, pixels = vit(), scans()
    with torch.no_grad():
        token = network.token(pixels)
        assert torch.equal(network(pixels), network.head("linear")(token))
        assert torch.equal(network(pixels), token @ network.linear.weight.T + network.linear.bias)
        assert network.head("polynomial")(token).shape == (2, 3)
    assert not torch.equal(network.head("polynomial")(token), network(pixels))
    with pytest.raises(ValueError, match="^There is no head 'cubic'; choose one of: linear, polynomial.$"):
        network.head("cubic")


def test_with_the_weights_of_an_autoencoder_it_sees_what_that_sees():
    mae = MaskedAutoencoder(32, 8, 1, 16, 2, 2, 8, 1, 2).eval()
    network = vit()
    own = network.state_dict()
    network.load_state_dict(own | {key: value for key, value in mae.state_dict().items() if key in own})
    visible = torch.tensor([[0, 2, 5], [1, 9, 15]])
    with torch.no_grad():
        one, other = network.encode(scans(), visible), mae.encode(scans(), visible)
    assert torch.equal(one.tokens, other.tokens)


def test_attention_is_taken_as_from_the_autoencoder():
    layers = mae_attention(scans(1)[0].numpy(), vit())
    assert [tuple(layer.shape) for layer in layers] == [(2, 17, 17)] * 2
    assert torch.allclose(layers[0].sum(-1), torch.ones(2, 17))


def test_stages_run_in_turn_are_the_network():
    network, value = vit(), scans()
    with torch.no_grad():
        answer = network(value)
        for stage in network.stages():
            before, value = value.clone(), stage.run(given := value)
            assert torch.equal(before, given)
    assert torch.equal(value, answer)
    assert [stage.name for stage in network.stages()] == ["embedding", "blocks.0", "blocks.1", "token", "head"]
    for name in network.state_dict():
        assert sum(stage.holds(name) for stage in network.stages()) == 1, name


def test_faults_find_the_outputs_of_its_stages():
    sites = activation_sites(vit(), scans(1))
    assert sites["embedding"] == 17 * 16 and sites["token"] == TOKEN and sites["head"] == 3


def test_a_gradient_can_be_differentiated_again_as_gradient_inversion_does():
    network, pixels = vit().double(), scans(1, dtype=torch.float64).requires_grad_()

    def size(pixels: torch.Tensor) -> torch.Tensor:
        (slope,) = torch.autograd.grad(network(pixels)[0, 1], network.pos_embed, create_graph=True)
        return slope.square().sum()

    (rise,) = torch.autograd.grad(size(pixels), pixels)
    direction = torch.randn(pixels.shape, generator=numbers(3), dtype=torch.float64)
    step = 1e-5 * direction
    expected = (size(pixels + step) - size(pixels - step)).item() / 2e-5
    assert (rise * direction).sum().item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("config", [{"patch": 7}, {"heads": 3}, {"width": 18, "heads": 2}])
def test_an_impossible_size_gets_one_sentence(config):
    with pytest.raises(ValueError, match="^A ViT needs patches .+ not possible.$"):
        vit(**config)


def test_it_fits_the_budget():
    assert sum(value.numel() for value in TokenViT(3, 3).parameters()) * 2 < 15e6
