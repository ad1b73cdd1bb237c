"""The recipes of MAE-Pure's family on six scans and tiny networks, and their way into a bundle."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.bundles import BundleError, loading
from core.models.mae import MaskedAutoencoder
from core.models.resnet import NarrowResNet18
from core.purification.catalogue import purified_pixels, usable_purifiers
from core.purification.settings import PurifySettings
from training.publish import assemble
from training.recipes import mae, mask_dit, robust_mae
from training.recipes.cards import write_form
from training.recipes.weights import seeded

TINY = {"patch": 32, "width": 16, "depth": 2, "heads": 2, "decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}
LIGHT = TINY | {"decoder_depth": 1}
RECIPES = {"mae": "robust_mae", "mask-dit": "robust_mask_dit"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(mae, "CONFIGS", {"brain-mri": TINY})
    monkeypatch.setattr(mask_dit, "CONFIGS", {"brain-mri": LIGHT})


@pytest.fixture
def autoencoder(tmp_path):
    network = seeded(lambda: MaskedAutoencoder(128, channels=1, **TINY), "an autoencoder")
    return saved(network, tmp_path / "mae.safetensors", {"config": TINY})


@pytest.fixture
def answering(tmp_path):
    network = seeded(lambda: NarrowResNet18(1, 2, width=4), "a classifier")
    form = {"architecture": "half-resnet18", "config": {"width": 4}}
    return saved(network, tmp_path / "resnet18.safetensors", form)


def saved(network, path, form):
    save_file({key: value.half() for key, value in network.state_dict().items()}, path)
    write_form(path, form)
    return path


def trained(run, data, out, init, *words, steps=2):
    run(mask_dit, "--data", data, "--out", out, "--init", init, "--batch", 2, "--steps", steps, *words)
    return out / "mask_dit.safetensors"


def fine_tuned(run, data, out, network, init, answering, *words):
    words = ["--network", network, "--init", init, "--attack", answering, "--batch", 2, "--scans", 4, *words]
    run(robust_mae, "--data", data, "--out", out, *words)
    return out / f"{RECIPES[network]}.safetensors"


def test_it_begins_with_every_weight_that_the_autoencoder_has_for_it(run, data, autoencoder, tmp_path):
    made, given = load_file(trained(run, data, tmp_path / "out", autoencoder, steps=0)), load_file(autoencoder)
    taken = {key.removeprefix("mae."): value for key, value in made.items() if key.startswith("mae.")}
    assert all(torch.equal(value, given[key]) for key, value in taken.items())
    left = set(given) - set(taken)
    assert left and all(key.startswith("decoder_blocks.1.") for key in left)
    assert json.loads((tmp_path / "out" / "mask_dit.form.json").read_text()) == {"config": LIGHT}


def test_it_goes_on_from_a_network_of_its_own(run, data, autoencoder, tmp_path):
    first = trained(run, data, tmp_path / "first", autoencoder)
    again = trained(run, data, tmp_path / "again", first, steps=0)
    assert all(torch.equal(value, load_file(first)[key]) for key, value in load_file(again).items())


def test_the_score_and_the_hidden_picture_are_learned_and_the_time_too(run, data, autoencoder, tmp_path):
    before = load_file(trained(run, data, tmp_path / "a", autoencoder, steps=0))
    after = load_file(trained(run, data, tmp_path / "b", autoencoder, "--lr", 1e-2, "--decay", 0.5, steps=2))
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {"decoder_noise.weight", "mae.decoder_pred.weight", "mae.decoder_logvar.weight"} <= changed
    assert {"encoder_time.tables", "decoder_time.single.linear.weight", "mae.blocks.0.attn.qkv.weight"} <= changed
    card = json.loads((tmp_path / "b" / "mask_dit.json").read_text())
    figures = card["metrics"]["val, half hidden, by t"]["tiny"]
    assert figures["n"] == 2 and set(figures["10"]) == {"noise_mse", "hidden_mse"}


def test_a_part_of_a_batch_at_a_time_comes_to_the_same(run, data, autoencoder, tmp_path):
    whole = load_file(trained(run, data, tmp_path / "whole", autoencoder))
    parts = load_file(trained(run, data, tmp_path / "parts", autoencoder, "--part", 1))
    assert all(torch.allclose(whole[key].float(), parts[key].float(), atol=2e-3) for key in whole)


@pytest.mark.slow
@pytest.mark.parametrize("network", RECIPES)
def test_fine_tuning_goes_on_where_it_stopped_and_changes_the_decoder_alone(
    network, run, data, autoencoder, answering, tmp_path, capsys
):
    init = autoencoder if network == "mae" else trained(run, data, tmp_path / "dit", autoencoder)
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    words = [network, init, answering]
    fine_tuned(run, data, cut, *words, "--steps", 2, "--minutes", 0)
    assert "Not all scans are attacked yet" in capsys.readouterr().out and not (cut / "checkpoint.safetensors").exists()
    fine_tuned(run, data, cut, *words, "--steps", 1)
    stored = sorted((cut / "attacked").glob("*.safetensors"))
    times = [file.stat().st_mtime_ns for file in stored]
    made = load_file(fine_tuned(run, data, cut, *words, "--steps", 2))
    assert len(stored) == 2 and times == [file.stat().st_mtime_ns for file in stored]
    again = load_file(fine_tuned(run, data, whole, *words, "--steps", 2))
    assert all(torch.equal(made[key], again[key]) for key in made)
    given = load_file(init)
    changed = {key for key in made if not torch.equal(made[key], given[key].half())}
    assert changed and all("decoder" in key or "mask_token" in key for key in changed)
    card = json.loads((cut / f"{RECIPES[network]}.json").read_text())
    assert card["metrics"]["attacked"]["n"] == 4 and set(card["metrics"]["val"]) == {"before", "after"}


@pytest.mark.slow
def test_what_is_attacked_stays_near_the_scan_and_is_a_scan(run, data, autoencoder, answering, tmp_path):
    fine_tuned(run, data, tmp_path / "out", "mae", autoencoder, answering, "--steps", 0, "--eps", 4)
    for file in (tmp_path / "out" / "attacked").glob("*.safetensors"):
        made = load_file(file)
        assert made["after"].min() >= 0 and made["after"].max() <= 1
        # Beyond ε there is the noise that the attack began with.
        moved = (made["after"] - made["before"]).abs()
        assert 4 / 255 < moved.max() < (4 + 6 * 4) / 255 and moved.mean() < 8 / 255
    with pytest.raises(SystemExit, match="were attacked with another eps; take that, or another --out"):
        fine_tuned(run, data, tmp_path / "out", "mae", autoencoder, answering, "--steps", 0, "--eps", 8)


def test_the_network_that_is_fine_tuned_has_to_be_named(run, data, answering, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(robust_mae, "--data", data, "--out", tmp_path, "--attack", answering)
    assert "--init has to name the network" in capsys.readouterr().err


@pytest.fixture
def assembled(run, data, autoencoder, answering, tmp_path, monkeypatch):
    """Assembles into a bundle of brain-mri's name that has neither U-Net nor calibration; its folder beside it."""
    for module in (assemble, loading):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    run(assemble, "--classifier", f"resnet18={answering}", "--mae", autoencoder)
    folder = tmp_path / "weights" / "brain-mri"
    facts = json.loads((folder / "bundle.json").read_text())
    for key in ("content", "calibration", "limits"):
        facts.pop(key, None)
    (folder / "bundle.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.slow
def test_from_recipe_to_bundle_and_back(assembled, run, data, answering, tmp_path):
    assert not {"rmae-pure", "maskdit-pure", "rmaskdit-pure"} & set(usable_purifiers(loading.load_bundle("brain-mri")))
    base = trained(run, data, tmp_path / "dit", assembled / "mae.safetensors")
    run(assemble, "--mask-dit", base)
    files = {
        name: fine_tuned(run, data, tmp_path / name, network, assembled / file, answering, "--steps", 2, "--lr", 1e-2)
        for network, name, file in (
            ("mae", "robust_mae", "mae.safetensors"),
            ("mask-dit", "robust_mask_dit", "mask_dit.safetensors"),
        )
    }
    run(assemble, "--robust-mae", files["robust_mae"], "--robust-mask-dit", files["robust_mask_dit"])
    bundle = loading.load_bundle("brain-mri", torch.float32)
    for name, file in ({"mask_dit": base} | files).items():
        wanted, network = load_file(file), getattr(bundle, name)
        for key, value in network.state_dict().items():
            assert torch.allclose(value, wanted[key].float(), rtol=0, atol=0 if name == "mask_dit" else 1e-4)
        assert f"{name}.safetensors" in bundle.hashes and bundle.facts["provenance"][name]["component"] == name
        assert not network.training and not any(weight.requires_grad for weight in network.parameters())
    kept = load_file(assembled / "robust_mask_dit.safetensors")
    assert kept and all("decoder" in key or "mask_token" in key for key in kept)
    assert {value.dtype for value in kept.values()} == {torch.int8, torch.float32}
    assert {"rmae-pure", "maskdit-pure", "rmaskdit-pure"} <= set(usable_purifiers(bundle))
    pixels = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    made = [purified_pixels(pixels, bundle, PurifySettings(name, steps=2)) for name in ("rmae-pure", "rmaskdit-pure")]
    assert not torch.equal(*made)


@pytest.mark.slow
def test_a_robust_network_goes_with_the_one_that_it_was_made_of(assembled, run, data, answering, tmp_path, capsys):
    base = assembled / "mae.safetensors"
    made = fine_tuned(run, data, tmp_path / "out", "mae", base, answering, "--steps", 1)
    with pytest.raises(SystemExit, match="holds no mask_dit.safetensors"):
        run(assemble, "--robust-mask-dit", made)
    run(assemble, "--robust-mae", made)
    other = seeded(lambda: MaskedAutoencoder(128, channels=1, **TINY), "another")
    other = saved(other, tmp_path / "other.safetensors", {"config": TINY})
    with pytest.raises(SystemExit):
        run(assemble, "--mae", other)
    assert "give --robust-mae as well" in capsys.readouterr().err
    facts = json.loads((assembled / "bundle.json").read_text())
    facts["robust_mae"]["of"] = "0" * 64
    (assembled / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=r"robust_mae\.safetensors was made of another mae\.safetensors.*\.$"):
        loading.load_bundle("brain-mri")


def test_what_is_no_such_network_is_refused(assembled, run, tmp_path):
    save_file({"any": torch.zeros(1)}, tmp_path / "any.safetensors")
    with pytest.raises(SystemExit, match="no network of the form of mae.safetensors"):
        run(assemble, "--robust-mae", tmp_path / "any.safetensors")
