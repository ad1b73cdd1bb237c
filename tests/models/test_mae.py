import torch

from core.models.mae import (
    MaskedAutoencoder,
    complementary_masks,
    patchify,
    sincos_positions,
    unpatchify,
    visible_patches,
)


def small() -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(16, 4, 1, width=16, depth=2, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)


def test_unpatchify_undoes_patchify():
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(unpatchify(patchify(pixels, 4), 4, 3), pixels)


def test_patches_are_in_row_order():
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert patchify(pixels, 2)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_masks_hide_every_patch_once_in_equal_parts():
    masks = complementary_masks(256, 4, torch.Generator().manual_seed(1))
    assert (masks.sum(0) == 1).all()
    assert (masks.sum(1) == 64).all()
    assert torch.equal(masks, complementary_masks(256, 4, torch.Generator().manual_seed(1)))


def test_visible_patches_are_the_others_in_order():
    masks = torch.tensor([[True, False, False, True], [False, True, True, False]])
    assert visible_patches(masks).tolist() == [[1, 2], [0, 3]]


def test_attention_rows_sum_to_one_and_cover_visible_tokens():
    mae = small()
    visible = torch.arange(12).repeat(3, 1)
    encoding = mae.encode(torch.rand(3, 1, 16, 16), visible)
    assert [tuple(layer.shape) for layer in encoding.attention] == [(3, 2, 13, 13)] * 2
    assert torch.allclose(encoding.attention[0].sum(-1), torch.ones(3, 2, 13))


def test_hidden_patches_do_not_reach_the_prediction():
    mae = small().eval()
    visible = torch.arange(12).unsqueeze(0)
    pixels = torch.rand(1, 1, 16, 16)
    changed = pixels.clone()
    changed[..., 12:, :] = 1 - changed[..., 12:, :]
    first, second = (mae.decode(mae.encode(image, visible), visible).pixels for image in (pixels, changed))
    assert torch.equal(first, second)


def test_our_block_agrees_with_timm():
    mae = small().eval()
    tokens = torch.rand(2, 5, 16)
    from core.models.mae import attend

    assert torch.allclose(attend(mae.blocks[0], tokens)[0], mae.blocks[0](tokens), atol=1e-6)


def test_positions_differ_and_the_class_token_has_none():
    table = sincos_positions(4, 16)[0]
    assert not table[0].any()
    assert len({tuple(row.tolist()) for row in table}) == 17
