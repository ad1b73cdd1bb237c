"""The ViT recipe on a handful of images: both heads learn, it goes on where it stopped, its files can be loaded."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from core.bundles import loading
from core.models.mae import MaskedAutoencoder
from core.models.resnet import NarrowResNet18
from core.models.vit import TokenViT
from training.publish import assemble
from training.recipes import vit
from training.recipes.augmentation import augmented_tiles
from training.recipes.cards import trained_classifier
from training.recipes.weights import seeded
from training.tasks import TASKS

SMALL = {"width": 16, "depth": 1, "heads": 2, "hidden": 4}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(vit, "CONFIG", SMALL)


@pytest.fixture
def tiles(tmp_path):
    """Six random tiles of lung, four to train on, in the layout of a .zip."""
    random, rows, path = np.random.default_rng(0), ["file,label,group,split"], tmp_path / "tiles.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index, label in enumerate(TASKS["lung-histology"]["codes"] * 2):
            picture = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (128, 128, 3), dtype=np.uint8)).save(picture, "PNG")
            archive.writestr(f"{index}.png", picture.getvalue())
            rows.append(f"{index}.png,{label},{index},{'train' if index < 4 else 'val'}")
        archive.writestr("index.csv", "\n".join(rows))
    return path


def moved(before: dict, after: dict) -> set[str]:
    """Names of the weights that differ."""
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_it_resumes_and_becomes_the_classifier_of_a_bundle(tiles, run, tmp_path, monkeypatch):
    out, words = tmp_path / "out", ["--bundle", "lung-histology", "--patch", 32, "--batch", 2, "--decay", 0]
    for steps in (1, 2):
        run(vit, "--data", tiles, "--out", out, *words, "--steps", steps)
    card = json.loads((out / "vit.json").read_text())
    assert card["steps"] == 2 and card["metrics"]["val"]["polynomial"]["n"] == 2
    assert set(card["metrics"]["largest"]) == {"token", "hidden", "linear logits", "polynomial logits"}
    for module in (assemble, loading):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    run(assemble, "--bundle", "lung-histology", "--classifier", f"vit={out / 'vit.safetensors'}")
    bundle = loading.load_bundle("lung-histology")
    assert bundle.lacks and bundle.default_classifier == "vit" and bundle.classifiers["vit"].patch == 32
    with torch.no_grad():
        assert bundle.classifiers["vit"](torch.zeros(1, 3, 128, 128)).shape == (1, 3)


@pytest.mark.parametrize("frozen", [False, True])
def test_both_heads_learn_and_a_frozen_token_stays(data, run, tmp_path, frozen):
    words = ["--data", data, "--out", tmp_path, "--batch", 2, "--patch", 32, "--decay", 0]
    run(vit, *words, "--steps", 0, "--seed", 5)
    before = load_file(tmp_path / "vit.safetensors")
    (tmp_path / "checkpoint.safetensors").unlink()
    run(vit, *words, "--steps", 2, "--seed", 5, *["--frozen"] * frozen)
    heads = {
        f"{name}.{part}" for name in ("linear", "polynomial.hidden", "polynomial.output") for part in ("weight", "bias")
    }
    changed = moved(before, load_file(tmp_path / "vit.safetensors"))
    assert changed == heads if frozen else heads < changed


def test_both_losses_are_added():
    network, token = (
        TokenViT(1, 2, **SMALL | {"size": 32}),
        torch.randn(4, 768, generator=torch.Generator().manual_seed(0)),
    )
    for head in (network.linear, network.polynomial.output):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    loss = vit.both_losses(network, token, torch.tensor([0, 1, 1, 0]))
    assert loss.item() == pytest.approx(2 * np.log(2), rel=1e-6)


def test_a_teacher_answers_in_place_of_the_labels(data, run, tmp_path):
    network = seeded(lambda: NarrowResNet18(1, 2), "teacher")
    teacher = tmp_path / "resnet18.safetensors"
    save_file({key.removeprefix("network."): value for key, value in network.state_dict().items()}, teacher)
    trained, images = trained_classifier(teacher, 1, 2), torch.rand(2, 1, 128, 128)
    assert not trained.training and not any(weight.requires_grad for weight in trained.parameters())
    with torch.no_grad():
        assert torch.allclose(vit.answers(trained, images), network.eval()(images).softmax(1), atol=1e-5)
    words = ["--data", data, "--out", tmp_path, "--batch", 2, "--patch", 32, "--steps", 1]
    run(vit, *words, "--teacher", teacher)
    card = json.loads((tmp_path / "vit.json").read_text())
    assert "--teacher resnet18.safetensors" in card["command"] and "SHA-256" in card["metrics"]["taught_by"]["weights"]


def test_a_sure_teacher_is_the_label_without_smoothing():
    network, token = TokenViT(1, 2, **SMALL | {"size": 32}), torch.randn(3, 768)
    with torch.no_grad():
        network.linear.bias.copy_(torch.tensor([0.0, 5.0]))
        labels, sure = torch.tensor([0, 1, 0]), torch.tensor([[1.0, 0], [0, 1], [1, 0]])
        expected = sum(
            torch.nn.functional.cross_entropy(head(token), labels) for head in (network.linear, network.polynomial)
        )
        assert vit.both_losses(network, token, sure).item() == pytest.approx(expected.item(), rel=1e-5)
        assert vit.both_losses(network, token, labels).item() < expected.item()  # smoothing spares the wrong and sure


def test_pictures_are_mixed_with_their_neighbour_and_stay_the_greater_part():
    images = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(4, 1, 1, 1)
    blended = vit.mixed(images, torch.Generator().manual_seed(0)).flatten()
    assert blended[[0, 2]].max() <= 0.5 <= blended[[1, 3]].min() and blended.unique().numel() == 4


def test_half_of_the_patches_stay_and_each_image_keeps_its_own():
    network = TokenViT(1, 2, **SMALL)
    kept = vit.some_patches(network, 3, torch.Generator().manual_seed(0))
    assert kept.shape == (3, 32) and (kept.diff() > 0).all() and not torch.equal(kept[0], kept[1])


def test_an_autoencoder_of_smaller_patches_and_no_colour_is_a_start():
    mae = MaskedAutoencoder(128, 8, 1, 16, 1, 2, 8, 1, 2).eval()
    network = TokenViT(3, 3, **SMALL).eval()
    weights = {key: value.half() for key, value in mae.state_dict().items()}
    network.load_state_dict(vit.fitted(network, weights))
    assert torch.allclose(network.blocks[0].mlp.fc1.weight, mae.blocks[0].mlp.fc1.weight, atol=1e-3)
    grey = torch.full((1, 1, 128, 128), 0.7)
    with torch.no_grad():
        fine, coarse = mae.patch_embed(grey), network.patch_embed(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(fine[:, :1], coarse[:, :1], atol=5e-3)
    grid = mae.pos_embed[0, 1:].view(16, 16, -1)
    middle = network.pos_embed[0, 1:].view(8, 8, -1)[3, 4]
    assert torch.allclose(middle, grid[6:8, 8:10].mean((0, 1)), atol=0.2)


def test_its_own_weights_are_taken_as_they_are(tmp_path):
    network = TokenViT(3, 3, **SMALL)
    fitted = vit.fitted(TokenViT(3, 3, **SMALL), network.state_dict())
    assert not moved(network.state_dict(), fitted)


def test_a_file_of_another_network_gets_one_sentence(data, run, tmp_path):
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="^The file of --init holds no vision transformer; .+.$"):
        run(vit, "--data", data, "--out", tmp_path, "--init", tmp_path / "other.safetensors")


def test_tiles_keep_their_ground_and_their_stains_vary_by_colour():
    pink = torch.tensor([0.8, 0.5, 0.7]).view(1, 3, 1, 1)
    tiles = augmented_tiles(pink.expand(30, 3, 32, 32), torch.Generator().manual_seed(3))
    assert torch.allclose(tiles, tiles[:, :, :1, :1].expand_as(tiles), atol=1e-4)  # shifted, yet nothing black comes in
    density = tiles[:, :, 0, 0].log() / pink.flatten().log()
    assert density.min() > 0.6 and density.max() < 1.6
    assert (density.amax(1) / density.amin(1)).max() > 1.1


def test_a_tile_that_is_turned_by_quarters_moves_by_whole_pixels():
    pixels = torch.zeros(40, 3, 64, 64)
    pixels[:, :, 30:34, 30:34] = 1
    tiles = augmented_tiles(pixels, torch.Generator().manual_seed(5)) > 0.5
    bright = tiles[:, 0].flatten(1).sum(1)
    assert 10 <= (bright == 16).sum() and bright.min() >= 4
    centres = [tile[0].nonzero().float().mean(0) for tile in tiles]
    assert max((centre - 31.5).abs().max() for centre in centres) > 8
