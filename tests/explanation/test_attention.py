import numpy as np
import pytest
import torch

from core.explanation.attention import head_map, mae_attention, rollout, rollout_map
from core.models.mae import MaskedAutoencoder, attend
from tests.attacks.tiny import numbers


@pytest.fixture
def mae() -> MaskedAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tiny = MaskedAutoencoder(
            16, 4, 1, width=16, depth=2, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2
        )
    return tiny.eval().requires_grad_(False)


def pixels() -> np.ndarray:
    return torch.rand(1, 16, 16, generator=numbers()).numpy()


def test_rollout_by_hand():
    still, swapped = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    first = torch.tensor([[still, swapped]])  # mean .5 everywhere; with the identity .75 and .25
    second = torch.tensor([[[[0.2, 0.8], [0.6, 0.4]]] * 2])  # with the identity .6 .4 / .3 .7
    assert torch.allclose(rollout([first]), torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]))
    # .6 × .75 + .4 × .25 = .55, and .3 × .75 + .7 × .25 = .4
    assert torch.allclose(rollout([first, second]), torch.tensor([[[0.55, 0.45], [0.4, 0.6]]]))


def test_rollout_takes_each_of_a_batch_on_its_own():
    layers = [torch.rand(3, 2, 5, 5, generator=numbers(seed)).softmax(-1) for seed in range(3)]
    together = rollout(layers)
    assert torch.allclose(together.sum(-1), torch.ones(3, 5))
    assert torch.allclose(together[1:2], rollout([layer[1:2] for layer in layers]))


@pytest.mark.parametrize(
    "layers",
    [[], [torch.zeros(2, 5, 5)], [torch.zeros(1, 2, 5, 4)], [torch.zeros(1, 2, 5, 5), torch.zeros(1, 2, 4, 4)]],
)
def test_rollout_says_what_it_needs(layers):
    with pytest.raises(ValueError, match="Rollout needs"):
        rollout(layers)


def test_maps_are_the_class_tokens_row_in_the_order_of_the_patches():
    first, second = torch.zeros(5, 5), torch.zeros(5, 5)
    first[0], second[0] = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4]), torch.tensor([0.2, 0.5, 0.2, 0.1, 0.0])
    layer = torch.stack([first, second])
    assert head_map(layer, 0) == pytest.approx(np.array([[0.1, 0.2], [0.3, 0.4]]))
    assert head_map(layer) == pytest.approx(np.array([[0.3, 0.2], [0.2, 0.2]]))
    # One layer: half of the mean attention, as the other half is the class token's own.
    assert rollout_map([layer]) == pytest.approx(np.array([[0.15, 0.1], [0.1, 0.1]]))


def test_maps_say_what_they_need():
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        head_map(torch.zeros(2, 5, 5), 2)
    with pytest.raises(ValueError, match="3 patches fill no square"):
        head_map(torch.zeros(2, 4, 4))


def test_mae_attention_sees_every_patch_in_its_place(mae):
    layers = mae_attention(pixels(), mae)
    assert [tuple(layer.shape) for layer in layers] == [(2, 17, 17)] * 2
    for layer in layers:
        assert torch.allclose(layer.sum(-1), torch.ones(2, 17))
    patches = mae.patch_embed((torch.from_numpy(pixels()).unsqueeze(0) - 0.5) / 0.25) + mae.pos_embed[:, 1:]
    tokens = torch.cat([mae.cls_token, patches], dim=1)
    for block, layer in zip(mae.blocks, layers):
        tokens, expected = attend(block, tokens)
        assert torch.allclose(layer, expected[0], atol=1e-6)
    assert rollout_map(layers).shape == head_map(layers[1], 0).shape == (4, 4)


def test_rows_sum_to_one_in_bfloat16_too(mae):
    for layer in mae_attention(pixels(), mae.to(torch.bfloat16)):
        assert layer.dtype == torch.float32
        assert torch.allclose(layer.sum(-1), torch.ones(2, 17), atol=1e-6)


def test_mae_attention_needs_the_pixels_of_its_mae(mae):
    with pytest.raises(ValueError, match=r"\(1, 16, 16\), not \(1, 8, 8\)"):
        mae_attention(np.zeros((1, 8, 8), np.float32), mae)
