"""Each recipe on eight tiny steps' worth of data: it runs, resumes where it stopped, and writes weights and a card."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from core.bundles import loading
from training.publish import assemble
from training.recipes import classifier, mae, unet
from training.recipes.augmentation import AUGMENTATIONS, FAITHFUL, augmented_cells, faithful_scans
from training.recipes.cards import command_line
from training.recipes.weights import fitting
from training.tasks import TASKS

COMPONENTS = {"classifier": (classifier, "resnet18"), "mae": (mae, "mae"), "unet": (unet, "unet")}


def test_a_recorded_command_tells_no_folder_of_the_machine(monkeypatch, tmp_path):
    words = ["/here/training/recipes/unet.py", "--data", str(tmp_path / "a.npz"), "--out", "build/unet", "--steps", "5"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == "python -m training.recipes.unet --data a.npz --out build/unet --steps 5"


def test_what_fits_of_another_task_s_weights_is_taken_and_the_rest_begins_anew(capsys):
    network, other = (torch.nn.ModuleDict({"in": torch.nn.Linear(n, 2), "deep": torch.nn.Linear(2, 2)}) for n in (3, 1))
    taken = fitting(network, {key: value.half() for key, value in other.state_dict().items()})
    network.load_state_dict(taken)
    assert capsys.readouterr().out == "1 of 4 tensors of --init differ in shape, and begin anew.\n"
    assert torch.equal(network["deep"].weight, other["deep"].weight.half().float())
    assert network["in"].weight.shape == (2, 3) and torch.equal(network["in"].bias, other["in"].bias.half().float())


@pytest.mark.slow
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_recipe_resumes_and_writes_its_card(component, data, run, tmp_path):
    module, name = COMPONENTS[component]
    out = tmp_path / "out"
    words = ["--data", data, "--out", out, "--batch", 2]
    run(module, *words, "--steps", 1)
    first = load_file(out / "checkpoint.safetensors")
    run(module, *words, "--steps", 2)
    with safe_open(out / "checkpoint.safetensors", "pt") as file:
        assert file.metadata()["step"] == "2"
    second = load_file(out / "checkpoint.safetensors")
    assert any(not np.array_equal(first[key], second[key]) for key in first)
    card = json.loads((out / f"{name}.json").read_text())
    assert {"command", "split", "seed", "commit", "minutes", "metrics", "started_from"} <= set(card)
    assert card["steps"] == 2
    assert str(load_file(out / f"{name}.safetensors").popitem()[1].dtype) == "torch.float16"


def write_cells(path):
    """Six random pictures of blood cells, four to train on, in the layout of a .zip; its path."""
    random, rows = np.random.default_rng(0), ["file,label,group,split"]
    with zipfile.ZipFile(path, "w") as archive:
        for index, label in enumerate(TASKS["blood-cells"]["classes"][:6]):
            picture = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(picture, "PNG")
            archive.writestr(f"{index}.png", picture.getvalue())
            rows.append(f"{index}.png,{label},{index},{'train' if index < 4 else 'val'}")
        archive.writestr("index.csv", "\n".join(rows))
    return path


def test_a_medmamba_for_blood_cells_becomes_a_bundle_of_classifiers_alone(run, tmp_path, monkeypatch):
    out, data = tmp_path / "out", write_cells(tmp_path / "cells.zip")
    words = ["--bundle", "blood-cells", "--architecture", "medmamba", "--batch", 2, "--steps", 1, "--decay", 0.5]
    run(classifier, "--data", data, "--out", out, *words)
    form = json.loads((out / "mamba.form.json").read_text())
    assert form["architecture"] == "medmamba" and {"width", "depths", "states"} <= set(form["config"])
    for module in (assemble, loading):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    run(assemble, "--bundle", "blood-cells", "--classifier", f"mamba={out / 'mamba.safetensors'}")
    bundle = loading.load_bundle("blood-cells")
    assert bundle.lacks and not {"mae", "unet", "content"} & set(bundle.facts)
    assert "--architecture medmamba" in bundle.facts["provenance"]["mamba"]["command"]
    with torch.no_grad():
        logits = bundle.classifiers["mamba"](torch.zeros(1, 3, 64, 64))
    assert logits.shape == (1, 8) and set(bundle.hashes) == {"mamba.safetensors"}


def test_a_classifier_may_be_asked_about_the_mirror_image_as_well(data, run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(classifier, "--data", data, "--out", out, "--steps", 0)
    for module in (assemble, loading):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    file, pixels = out / "resnet18.safetensors", torch.rand(2, 1, 128, 128)
    run(assemble, "--classifier", f"resnet18={file}")
    alone = loading.load_bundle("brain-mri").classifiers["resnet18"]
    run(assemble, "--mirrored", "resnet18")
    both = loading.load_bundle("brain-mri").classifiers["resnet18"]
    with torch.no_grad():
        torch.testing.assert_close(both(pixels), (alone(pixels) + alone(pixels.flip(-1))) / 2)


def test_two_runs_with_one_seed_start_alike(data, run, tmp_path):
    def weights(out, seed):
        run(classifier, "--data", data, "--out", tmp_path / out, "--steps", 0, "--seed", seed)
        return load_file(tmp_path / out / "resnet18.safetensors")["network.conv1.weight"]

    first, again, other = (weights(out, seed) for out, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("table", [AUGMENTATIONS, FAITHFUL])
@pytest.mark.parametrize("bundle", TASKS)
def test_augmentation_hangs_on_the_generator_alone_and_stays_in_range(bundle, table):
    channels = TASKS[bundle]["input"]["channels"]
    pixels = torch.rand((5, channels, 32, 32), generator=torch.Generator().manual_seed(1))
    first, again = (table[bundle](pixels, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, again) and first.shape == pixels.shape
    assert first.min() >= 0 and first.max() <= 1 and not torch.allclose(first, pixels, atol=0.1)


def test_cells_keep_their_colours_and_scans_their_black_ground():
    generator, pink = torch.Generator().manual_seed(3), torch.tensor([0.9, 0.6, 0.7]).view(1, 3, 1, 1)
    cells = augmented_cells(pink.expand(20, 3, 16, 16), generator)
    assert torch.allclose(cells, cells[:, :, :1, :1].expand_as(cells), atol=1e-5)  # turned, yet nothing black comes in
    assert (cells[:, :, 0, 0] - pink.flatten()).abs().max() < 0.15
    corners = faithful_scans(torch.ones(20, 1, 16, 16), generator)[:, 0, 0, 0]
    assert corners.min() < 0.5


def test_half_of_the_cells_keep_their_pixels():
    pixels = torch.rand((40, 3, 8, 8), generator=torch.Generator().manual_seed(4))
    pixels[:, 1:] = pixels[:, :1]
    turned = augmented_cells(pixels, torch.Generator().manual_seed(5))
    before, after = pixels[:, 0].flatten(1).argsort(), turned[:, 0].flatten(1).argsort()
    places = [torch.arange(64).view(8, 8).rot90(k) for k in range(4)]
    places = [place.flatten() for one in places for place in (one, one.flip(0))]
    kept = sum(any(torch.equal(place[b], a) for place in places) for a, b in zip(after, before))
    assert 12 <= kept <= 28
