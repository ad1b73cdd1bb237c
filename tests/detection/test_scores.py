"""Where attention moves, patch by patch, and how the detector's maps lie on the scan."""

import pytest
import torch

from core.detection.scores import (
    AMV_T,
    MaskedViews,
    attention_variation,
    detection_masks,
    gather_features,
    instability,
    masked_views,
)
from core.models.diffusion import denoise_once, fixed_noise
from tests.defended import PATCH, SIDE, defended_bundle

HIDDEN = ((0, 1), (0, 2), (3, 4))  # of six patches, by each of three masks


def masks_of(hidden):
    masks = torch.zeros(len(hidden), 6, dtype=torch.bool)
    for mask, patches in zip(masks, hidden):
        mask[list(patches)] = True
    return masks


def random_views(seed):
    """Two images, three masks, two layers of four heads; a class token and the four patches that are shown."""
    generator = torch.Generator().manual_seed(seed)
    layers = tuple(torch.rand(2, 3, 4, 5, 5, generator=generator) for _ in range(2))
    return MaskedViews(layers, torch.zeros(2, 3, 5, 1))


def test_the_patch_map_says_whose_attention_moved():
    """A patch's row of each matrix, its norm summed over layers, mean over heads and over the masks that show it."""
    before, after = random_views(0), random_views(1)
    _, by_patch = attention_variation(before, after, masks_of(HIDDEN))
    for image in range(2):
        for patch in range(6):
            moved = []
            for mask, hidden in enumerate(HIDDEN):
                if patch in hidden:
                    continue
                row = 1 + [shown for shown in range(6) if shown not in hidden].index(patch)
                change = [
                    a[image, mask, :, row] - b[image, mask, :, row] for a, b in zip(before.attention, after.attention)
                ]
                moved.append(sum(layer.norm(dim=1).mean() for layer in change))
            assert by_patch[image, patch].item() == pytest.approx(torch.stack(moved).mean().item(), rel=1e-5)


def test_attention_does_not_vary_against_itself():
    views = random_views(0)
    score, by_patch = attention_variation(views, views, masks_of(HIDDEN))
    assert not score.any() and by_patch.shape == (2, 6) and not by_patch.any()


def test_the_score_is_the_norm_of_whole_matrices():
    before, after = random_views(0), random_views(1)
    score, _ = attention_variation(before, after, masks_of(HIDDEN))
    expected = sum(torch.linalg.matrix_norm(a - b).mean((1, 2)) for a, b in zip(before.attention, after.attention))
    assert torch.allclose(score, expected)


@torch.no_grad()
def test_the_maps_lie_on_the_scan_row_by_row():
    bundle, masks = defended_bundle(), detection_masks(defended_bundle(), torch.device("cpu"))
    pixels = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    noise, level = fixed_noise(pixels.shape, 0, pixels.device), torch.full((2,), AMV_T)
    copy = denoise_once(pixels, level, bundle.diffusion, noise)
    views = [masked_views(images, masks, bundle.mae) for images in (pixels, copy)]
    _, by_patch = attention_variation(*views, masks)
    features = gather_features(pixels, bundle, 0)
    side = SIDE // PATCH
    for row in range(side):
        for column in range(side):
            assert torch.allclose(features.attention_map[:, row, column], by_patch[:, row * side + column], rtol=1e-3)
    assert not torch.allclose(features.attention_map, features.attention_map.mT, rtol=1e-2)
    inside = (features.reconstruction > 0) & (features.reconstruction < 1)
    error = (features.reconstruction - pixels).abs()
    assert torch.allclose(features.error_map[inside[:, 0]], error[inside]) and inside.any()


def test_no_image_depends_on_its_neighbours():
    bundle = defended_bundle()
    pixels = torch.rand(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together, alone = gather_features(pixels, bundle, 5), gather_features(pixels[1:2], bundle, 5)
    for name, single in (alone._asdict() | alone.scores).items():
        whole = together.scores[name] if name in together.scores else getattr(together, name)
        assert name == "scores" or torch.allclose(whole[1:2], single, atol=1e-5)


def test_instability_of_known_distributions():
    certain, opposite = torch.tensor([[50.0, -50.0]]), torch.tensor([[-50.0, 50.0]])
    assert instability(certain, certain).item() == pytest.approx(0, abs=1e-12)
    assert instability(certain, opposite).item() == pytest.approx(torch.tensor(2.0).log().item(), rel=1e-6)
