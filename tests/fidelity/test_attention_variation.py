from types import SimpleNamespace

import pytest
import torch

from core.detection.scores import attention_variation, detection_masks, masked_views
from core.fidelity.attention_variation import mask_dit_variation, variation
from core.models.mae import MaskedAutoencoder, complementary_masks, patchify, visible_patches
from core.models.mask_dit import MaskDiT

SHAPE = {"resolution": 16, "patch": 4, "channels": 1, "width": 16, "depth": 2, "heads": 2}
SHAPE |= {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}


@pytest.fixture(scope="module")
def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mae, mask_dit = MaskedAutoencoder(**SHAPE), MaskDiT(**SHAPE)
    return SimpleNamespace(mae=mae.eval(), mask_dit=mask_dit.eval(), mask_count=4)


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


@torch.no_grad()
def test_the_same_of_a_transformer_that_is_given_noise(tiny):
    network, first, second = tiny.mask_dit, images(1), 1 - images(1)
    generator = torch.Generator().manual_seed(7)
    masks, t = complementary_masks(16, 2, generator), torch.tensor([25])
    noise, losses, inside, behind = torch.randn(1, 1, 16, 16, generator=generator), [], [], []
    for mask in masks:
        visible, seen = visible_patches(mask[None]), []
        for image in (first, second):
            encoding = network.encode(network.diffuse(image, t, noise), t, visible)
            seen.append((encoding.attention, network.decode(encoding, t, visible).picture))
        losses.append((seen[0][1].pixels - patchify(first, 4))[0, mask].square().mean())
        pairs = [zip(seen[0][0], seen[1][0]), zip(seen[0][1].attention, seen[1][1].attention)]
        for found, layers in zip((inside, behind), pairs):
            found.append(sum((a - b).square().sum((2, 3)).sqrt().mean() for a, b in layers))
    made = mask_dit_variation(first, second, network, 25, seed=7)
    wanted = [torch.stack(values).mean().item() for values in (losses, inside, behind)]
    assert [value.item() for value in made] == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(ValueError, match="one shape"):
        mask_dit_variation(images(2), images(3), network, 25)


@pytest.mark.parametrize("network", ["mae", "mask_dit"])
def test_no_image_depends_on_its_neighbours(tiny, network):
    def measured(first, second):
        if network == "mae":
            return variation(first, second, tiny)
        return mask_dit_variation(first, second, tiny.mask_dit, 25)

    together, alone = measured(images(), 1 - images()), measured(images()[1:2], 1 - images()[1:2])
    for all_values, value in zip(together, alone):
        assert all_values[1].item() == pytest.approx(value.item(), rel=1e-4)


def test_shapes_must_agree(tiny):
    with pytest.raises(ValueError, match="one shape"):
        variation(images(2), images(3), tiny)
