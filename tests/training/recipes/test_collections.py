"""Several collections in one recipe: how often each class of each is drawn, and whose scans are left out."""

import json

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DOutput

from core.attacks import AttackSettings
from core.evaluation.datasets import DatasetError
from core.models.diffusion import Diffusion
from core.models.objectives import drawn_times
from training.options import cell_weight, recipe_options
from training.recipes import classifier, unet
from training.recipes.data import batches, by_collection, load_collections, load_splits, shuffled
from training.recipes.dwf_lessons import some_attacked
from training.recipes.faster import quickened

TABLE = {("both", 0): 0.5, ("both", 1): 0.1, ("tumours", 1): 0.4, ("elsewhere", 0): 1.0}


def options(collections, *words):
    parser = recipe_options("", steps=1, batch=400, lr=1.0)
    return parser.parse_args([str(word) for word in ("--out", "out", "--data", *collections, *words)])


def generator():
    return torch.Generator().manual_seed(7)


def shares(train, chosen):
    drawn = [(train.collections[i], train.labels[i].item()) for i in chosen.tolist()]
    return {cell: drawn.count(cell) / len(drawn) for cell in set(drawn)}


def test_a_batch_draws_classes_of_collections_by_their_weights(collections):
    given = options(collections)
    train, _ = load_splits(given)
    draw = batches(train, given, TABLE)
    found = shares(train, draw(0, generator()))
    assert found == pytest.approx({cell: TABLE[cell] for cell in found}, abs=0.08) and len(found) == 3
    assert torch.equal(draw(0, generator()), draw(5, generator()))  # the generator is all that a draw hangs on
    changed = batches(train, options(collections, "--weights", "both/1=0", "both/0=0.4"), TABLE)
    assert shares(train, changed(0, generator())) == pytest.approx({("both", 0): 0.5, ("tumours", 1): 0.5}, abs=0.08)


def test_a_class_without_a_weight_is_a_sentence(collections):
    given = options(collections)
    with pytest.raises(DatasetError, match=r"no weight for both/0; give it with --weights both/0=0.1, say\.$"):
        batches(load_splits(given)[0], given)


def test_a_weight_is_read_with_its_collection_and_class():
    assert cell_weight("tcga-lgg/1=0.25") == (("tcga-lgg", 1), 0.25)


def test_sites_that_are_left_out_are_in_neither_split(collections):
    train, val = load_splits(options(collections, "--leave-out", "B", "tumours"))
    assert set(train.sites) == set(val.sites) == {"A"}
    with pytest.raises(DatasetError, match="no site 'C' to leave out; there are: A, B, tumours"):
        load_splits(options(collections, "--leave-out", "C"))


def test_one_collection_comes_image_by_image_and_anew_in_every_epoch():
    draw = shuffled(10, 4, 0)
    epochs = [torch.cat([draw(step, generator()) for step in (first, first + 1)]).tolist() for first in (0, 2)]
    assert all(len(set(epoch)) == 8 for epoch in epochs) and epochs[0] != epochs[1]


def test_what_is_measured_of_a_collection_is_spread_over_it(collections):
    data = load_collections(collections)
    found = by_collection(data, 4)
    assert {name: len(part) for name, part in found.items()} == {"both": 4, "tumours": 4}
    assert set(found["both"].sites) == {"A", "B"}


def test_every_second_scan_is_attacked():
    pixels, labels = torch.rand(9, 1, 8, 8, generator=generator()), torch.zeros(9, dtype=torch.long)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).train()
    after = some_attacked(network, pixels, labels, AttackSettings("pgd", steps=3), generator())
    changed = (after - pixels).abs().amax((1, 2, 3))
    assert network.training and torch.equal(changed > 0, torch.arange(9) % 2 == 1) and changed.max() <= 8.001 / 255
    scores = [network(some[1::2]).softmax(1)[:, 0] for some in (pixels, after)]
    assert (scores[1] < scores[0]).all()


def test_a_purifier_is_taught_the_way_back_from_an_attack(collections, monkeypatch):
    def whitened(network, pixels, *given):
        return pixels.index_fill(0, torch.arange(1, len(pixels), 2), 1)

    def guess(noisy, t, class_labels):
        asked.extend((noisy, t, class_labels))
        return UNet2DOutput(noisy.clone().requires_grad_())

    asked, wanted = [], []
    monkeypatch.setattr(unet, "some_attacked", whitened)
    monkeypatch.setattr(unet, "ATTACK_EPS", (8,))
    monkeypatch.setattr(unet, "attacked_classifier", lambda options: lambda pixels: pixels.flatten(1)[:, :2])
    monkeypatch.setattr(unet.functional, "mse_loss", lambda guess, target: wanted.append(target) or guess.mean())
    monkeypatch.setitem(unet.FAITHFUL, "brain-mri", lambda pixels, generator: pixels)
    weights = [f"{cell}={weight}" for cell, weight in (("both/0", 0.5), ("both/1", 0.1), ("tumours/1", 0.4))]
    given = options(collections, "--batch", "8", "--weights", *weights)
    given.bundle, given.attack, given.part, given.small_t = "brain-mri", "resnet18.safetensors", None, 0.5
    train, diffusion = load_splits(given)[0], unet.new_diffusion("brain-mri")
    [(share, loss)] = unet.objective(train, diffusion, given)(guess, 0, generator())
    noisy, t, classes = asked
    assert share == 1 and loss.requires_grad
    assert t[1::2].min() >= 20 and t[1::2].max() < 160 and (classes[1::2] == 2).all()
    assert (noisy[1::2].mean((1, 2, 3)) > 0.8).all()
    scans = train.pixels[batches(train, given, {})(0, generator())]
    assert torch.allclose(diffusion.estimate(noisy, t, wanted[0]), scans, atol=1e-3)


@pytest.mark.parametrize("purifier", [None, "a purifier"])
def test_half_of_a_batch_is_attacked_before_it_is_purified(collections, monkeypatch, purifier):
    def whitened(network, pixels, labels, attack, generator):
        asked.append((attack.method, attack.eps))
        return pixels.index_fill(0, torch.arange(1, len(pixels), 2), 1)

    asked, seen = [], []
    monkeypatch.setattr(classifier, "some_attacked", whitened)
    monkeypatch.setattr(classifier, "purifier", lambda name, bundle: name)
    monkeypatch.setattr(classifier, "half_purified", lambda pixels, *given: pixels / 2)
    monkeypatch.setitem(classifier.AUGMENTATIONS, "brain-mri", lambda pixels, generator: pixels)
    weights = [f"{cell}={weight}" for cell, weight in (("both/0", 0.5), ("both/1", 0.1), ("tumours/1", 0.4))]
    parser = classifier.options_parser("")
    words = ["--data", *map(str, collections), "--out", "out", "--batch", "8", "--attack", "4", "--weights", *weights]
    given = parser.parse_args([*words, *(["--purify", purifier] if purifier else [])])
    step = classifier.objective(load_splits(given)[0], given)
    list(step(lambda pixels: seen.append(pixels) or pixels.flatten(1)[:, :2], 0, generator()))
    white = (seen[0] == (0.5 if purifier else 1)).all((1, 2, 3))
    assert asked == [("pgd", 4)] and torch.equal(white, torch.arange(8) % 2 == 1)


def test_every_second_scan_is_purified(monkeypatch):
    monkeypatch.setattr(classifier, "denoise_once", lambda pixels, t, *given: pixels * 0 + t.view(-1, 1, 1, 1))
    pixels = torch.rand(9, 1, 4, 4, generator=generator())
    after = classifier.half_purified(pixels, None, generator())
    assert torch.equal(after[::2], pixels[::2])
    assert after[1::2].min() >= 20 and after[1::2].max() < 160


def test_half_of_the_times_are_small():
    times = drawn_times(2000, generator())
    assert 0.59 < (times < 250).float().mean() < 0.66  # half of them, and a quarter of the rest
    assert times.min() >= 0 and times.max() < 1000
    assert (drawn_times(2000, generator(), small_t=1.0) < 250).all()


def test_the_normalisation_that_trains_faster_gives_the_same():
    small = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": [8, 8], "norm_num_groups": 4}
    small |= {"layers_per_block": 1, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"]}
    small |= {"up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "attention_head_dim": 4}
    slow, fast = Diffusion(small).unet, Diffusion(small).unet
    fast.load_state_dict(slow.state_dict())
    noisy, t = torch.randn(2, 1, 8, 8, generator=generator()), torch.tensor([3, 90])
    outputs = [network(noisy, t).sample for network in (slow, quickened(fast))]
    assert torch.allclose(*outputs, atol=1e-5)
    for output in outputs:
        output.square().mean().backward()
    pairs = zip(slow.parameters(), fast.parameters())
    assert max((a.grad - b.grad).abs().max().item() for a, b in pairs) < 1e-5


@pytest.mark.slow
def test_the_classifier_learns_from_several_collections(collections, run, tmp_path):
    weights = ["--weights", "both/0=0.3", "both/1=0.3", "tumours/1=0.4"]
    words = ["--data", *collections, "--out", tmp_path / "out", "--batch", 4, "--part", 2, "--width", 2, *weights]
    run(classifier, *words, "--leave-out", "B", "--steps", 2)
    card = json.loads((tmp_path / "out" / "resnet18.json").read_text())
    assert card["data"] == "both.npz tumours.npz" and card["left_out"] == ["B"]
    assert card["metrics"]["n"] == 12 and card["sittings"][0]["steps"] == [0, 2]
