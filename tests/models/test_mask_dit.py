"""The masked diffusion transformer: its shapes, what reaches it, and that it begins as the autoencoder it is given."""

import torch

from core.models.mae import MaskedAutoencoder, visible_patches
from core.models.mask_dit import MaskDiT

SHAPE = {"resolution": 16, "patch": 4, "channels": 1, "width": 16, "depth": 2, "heads": 2}
SHAPE |= {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
VISIBLE = torch.arange(8).expand(3, -1)


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(seed: int = 0) -> MaskDiT:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MaskDiT(**SHAPE).eval()


def told(network: MaskDiT, seed: int = 1) -> MaskDiT:
    """The same with a time conditioning that does something."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        for part in (network.encoder_time, network.decoder_time):
            part.tables.normal_(0, 0.5)
            part.single.linear.weight.normal_(0, 0.5)
    return network


def noisy() -> torch.Tensor:
    return torch.randn(3, 1, 16, 16, generator=numbers())


def test_shapes():
    network, t = small(), torch.tensor([0, 25, 999])
    encoding = network.encode(noisy(), t, VISIBLE)
    made = network.decode(encoding, t, VISIBLE)
    assert encoding.tokens.shape == (3, 9, 16) and [a.shape for a in encoding.attention] == [(3, 2, 9, 9)] * 2
    assert made.noise.shape == made.picture.pixels.shape == (3, 16, 16)
    assert made.picture.log_variance.shape == (3, 16)
    assert [a.shape for a in made.picture.attention] == [(3, 2, 17, 17)]
    assert (network.patch, network.patch_count) == (4, 16)


def test_a_hidden_patch_reaches_neither_encoder_nor_prediction():
    network, t, mask = told(small()), torch.full((3,), 40), torch.arange(16)[None] > 7
    visible, changed = visible_patches(mask).expand(3, -1), noisy()
    changed[..., 8:, :] += 1  # the last two rows of patches, all hidden
    first, second = (network.encode(pixels, t, visible) for pixels in (noisy(), changed))
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(network.decode(first, t, visible).noise, network.decode(second, t, visible).noise)
    changed[..., :1, :1] += 1
    assert not torch.equal(first.tokens, network.encode(changed, t, visible).tokens)


def test_the_encoder_begins_as_that_of_the_autoencoder_whatever_the_time():
    network = small()
    mae = MaskedAutoencoder(**SHAPE).eval()
    mae.load_state_dict(network.mae.state_dict())
    pixels = torch.rand(3, 1, 16, 16, generator=numbers())
    encoding = mae.encode(pixels, VISIBLE)
    for t in (0, 999):
        made = network.encode(2 * pixels - 1, torch.full((3,), t), VISIBLE)
        assert torch.allclose(made.tokens, encoding.tokens, atol=1e-5)
        picture = network.decode(encoding, torch.full((3,), t), VISIBLE).picture
        assert torch.equal(picture.pixels, mae.decode(encoding, VISIBLE).pixels)


def test_time_conditioning_can_learn_from_where_it_begins():
    network, t = small(), torch.tensor([5, 50, 500])
    made = network.denoise(noisy(), t, VISIBLE)
    (made.noise.square().mean() + made.picture.pixels.square().mean()).backward()
    for part in (network.encoder_time, network.decoder_time):
        assert part.single.linear.weight.grad.abs().sum() > 0 and part.tables.grad.abs().sum() > 0


def test_once_it_has_learned_the_time_matters_and_each_image_has_its_own():
    network, pixels = told(small()), noisy()
    together = network.denoise(pixels, torch.tensor([5, 50, 500]), VISIBLE).noise
    alone = network.denoise(pixels[1:2], torch.tensor([50]), VISIBLE[:1]).noise
    other = network.denoise(pixels[1:2], torch.tensor([500]), VISIBLE[:1]).noise
    assert torch.allclose(together[1:2], alone, atol=1e-5) and not torch.allclose(alone, other, atol=1e-2)


def test_the_schedule_is_that_of_the_unet_and_stays_exact_in_bfloat16():
    network, pixels = small().to(torch.bfloat16), torch.rand(1, 1, 16, 16, generator=numbers())
    assert network.alpha(25).dtype == torch.float32
    t, noise = torch.tensor([25]), torch.randn(1, 1, 16, 16, generator=numbers(1))
    noised = network.diffuse(pixels, t, noise)
    assert torch.allclose(network.noise_between(noised, t, pixels), noise, atol=1e-4)
    assert network.denoise(noised, t, VISIBLE[:1]).picture.pixels.isfinite().all()
