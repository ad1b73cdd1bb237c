from types import SimpleNamespace

import pytest
import torch

from core.detection.scores import attention_variation, detection_masks, masked_views
from core.fidelity.attention_variation import variation
from core.models.mae import MaskedAutoencoder, patchify, visible_patches


@pytest.fixture(scope="module")
def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mae = MaskedAutoencoder(16, 4, 1, width=16, depth=2, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)
    return SimpleNamespace(mae=mae.eval(), mask_count=4)


def images(count=3):
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_nothing_varies_against_itself(tiny):
    made = variation(images(), images(), tiny)
    assert torch.allclose(made.encoder, torch.zeros(3)) and torch.allclose(made.decoder, torch.zeros(3))


def test_encoder_variation_is_that_of_the_detector(tiny):
    first, second, masks = images(), 1 - images(), detection_masks(tiny, torch.device("cpu"))
    views = masked_views(torch.cat([first, second]), masks, tiny.mae)
    assert torch.allclose(variation(first, second, tiny).encoder, attention_variation(*views.split(3), masks)[0])


def test_loss_and_decoder_variation_mask_by_mask(tiny):
    first, second = images(1), 1 - images(1)
    losses, varied = [], []
    for mask in detection_masks(tiny, first.device):
        visible = visible_patches(mask[None])
        one, other = (tiny.mae.decode(tiny.mae.encode(image, visible), visible) for image in (first, second))
        losses.append((one.pixels - patchify(first, 4))[0, mask].square().mean())
        varied.append(sum((a - b).square().sum((2, 3)).sqrt().mean() for a, b in zip(one.attention, other.attention)))
    made = variation(first, second, tiny)
    assert made.reconstruction_loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
    assert made.decoder.item() == pytest.approx(torch.stack(varied).mean().item(), rel=1e-4)


def test_no_image_depends_on_its_neighbours(tiny):
    together, alone = variation(images(), 1 - images(), tiny), variation(images()[1:2], 1 - images()[1:2], tiny)
    for all_values, value in zip(together, alone):
        assert all_values[1].item() == pytest.approx(value.item(), rel=1e-4)


def test_shapes_must_agree(tiny):
    with pytest.raises(ValueError, match="one shape"):
        variation(images(2), images(3), tiny)
