"""MaskDiT-Pure, RMAE-Pure and RMaskDiT-Pure on networks that are small enough to be trained here."""

from dataclasses import replace

import pytest
import torch

from core.bundles import FAMILY, BundleError, weights_record
from core.cli import main
from core.evaluation.evaluation import evaluate
from core.models.mae import MaskedAutoencoder, patchify, visible_patches
from core.models.mask_dit import MaskDiT
from core.purification.catalogue import (
    PURIFIERS,
    describe_purification,
    longest_purification,
    purified_pixels,
    purifier_steps,
    usable_purifiers,
)
from core.purification.mae_pure import hidden_error, look, random_mask
from core.purification.settings import PurifySettings
from tests.defended import NAME, SIDE, defended_bundle, scans

METHODS = {"rmae-pure": "robust_mae", "maskdit-pure": "mask_dit", "rmaskdit-pure": "robust_mask_dit"}
SHAPE = {"resolution": SIDE, "patch": 8, "channels": 1, "width": 16, "depth": 1, "heads": 2}
SHAPE |= {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def numbers(seed=0):
    return torch.Generator().manual_seed(seed)


def learned(network):
    """A network that has learned a little of what scans look like where they are hidden."""
    pixels, generator = scans(8).pixels, numbers(3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(40):
        mask = random_mask(16, generator, 0.5)
        visible = visible_patches(mask).expand(8, -1)
        if isinstance(network, MaskDiT):
            t = torch.full((8,), 25)
            noisy = network.diffuse(pixels, t, torch.randn(pixels.shape, generator=generator))
            made = network.denoise(noisy, t, visible).picture
        else:
            made = network.decode(network.encode(pixels, visible), visible)
        optimizer.zero_grad()
        (made.pixels - patchify(pixels, 8)).square().mean().backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def whole():
    """The bundle of `tests.defended` with all of the family."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        parts = {
            "mask_dit": learned(MaskDiT(**SHAPE)),
            "robust_mae": learned(MaskedAutoencoder(**SHAPE)),
            "robust_mask_dit": learned(MaskDiT(**SHAPE)),
        }
    return replace(defended_bundle(), **parts)


def reconstruction_error(pixels, network):
    """(B,) of the hidden half, mean over masks that no purifier has seen."""
    generator, errors = numbers(99), []
    for _ in range(8):
        mask = random_mask(16, generator, 0.5)
        if isinstance(network, MaskDiT):
            t = torch.full((len(pixels),), 25)
            noise = torch.randn((1, 1, SIDE, SIDE), generator=generator).expand(pixels.shape)
            visible = visible_patches(mask).expand(len(pixels), -1)
            made = network.denoise(network.diffuse(pixels, t, noise), t, visible).picture
        else:
            made = look(pixels, mask, network)[1]
        errors.append(hidden_error(pixels, made, mask, 8))
    return torch.stack(errors).mean(0)


@pytest.mark.parametrize("method", METHODS)
def test_the_descent_lowers_the_error_and_keeps_to_its_clip(whole, method):
    pixels = scans(3).pixels
    made = list(purifier_steps(pixels, whole, PurifySettings(method, steps=16, clip=6, step_size=1)))
    estimate, network = made[-1].estimate, getattr(whole, METHODS[method])
    assert (estimate - pixels).abs().max().item() * 255 == pytest.approx(6, abs=0.01)
    assert estimate.min() >= 0 and estimate.max() <= 1 and len(made) == 16
    assert all(step.loss.shape == (3,) for step in made)
    before, after = (reconstruction_error(image, network) for image in (pixels, estimate))
    assert (after < before).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_alone_decides_and_neighbours_do_not(whole, method):
    pixels, settings = scans(3).pixels, PurifySettings(method, steps=4)
    made = purified_pixels(pixels, whole, settings, seed=1)
    assert torch.equal(made, purified_pixels(pixels, whole, settings, seed=1))
    assert not torch.equal(made, purified_pixels(pixels, whole, settings, seed=2))
    # The sign of a slope near nothing may hang on the order of summation, so a few values may differ by a step.
    alone = torch.cat([purified_pixels(image[None], whole, settings, seed=1) for image in pixels])
    assert (alone - made).abs().gt(1e-6).float().mean() < 0.01


@pytest.mark.parametrize("method", ["maskdit-pure", "rmaskdit-pure"])
def test_the_noise_level_counts_and_is_written_down(whole, method):
    pixels = scans(1).pixels
    made = [purified_pixels(pixels, whole, PurifySettings(method, steps=4, t=t)) for t in (1, 25, 300)]
    assert not torch.equal(made[0], made[1]) and not torch.equal(made[1], made[2])
    assert torch.equal(made[1], purified_pixels(pixels, whole, PurifySettings(method, steps=4)))
    settings = PurifySettings(method, t=7, steps=2)
    first, second = purifier_steps(pixels, whole, settings)
    assert first.t == second.t == 7 and "t 7," in describe_purification(settings, whole, first.t, 0)
    alpha = whole.mask_dit.alpha(7)
    for step, start in ((first, pixels), (second, first.estimate)):
        noise = (step.noisy - alpha.sqrt() * (2 * start - 1)) / (1 - alpha).sqrt()
        assert noise.std().item() == pytest.approx(1, abs=0.1) and not step.noisy.requires_grad
    assert not torch.allclose(first.noisy - second.noisy, torch.zeros(()), atol=0.05)
    # No chain is walked down, so a low level takes no step away.
    assert longest_purification(PurifySettings(method, t=3)) == PURIFIERS[method].steps
    with pytest.raises(ValueError, match="between 1 and 999"):
        next(purifier_steps(pixels, whole, PurifySettings(method, t=0)))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_bundle_lacks_is_one_sentence_and_not_offered(whole, method):
    assert method in usable_purifiers(whole)
    without = replace(whole, **{METHODS[method]: None})
    assert set(usable_purifiers(without)) == set(PURIFIERS) - {method}
    with pytest.raises(BundleError) as refusal:
        purified_pixels(scans(1).pixels, without, PurifySettings(method))
    sentence = str(refusal.value)
    assert FAMILY[METHODS[method]] in sentence and "tiny-scans" in sentence
    assert sentence.endswith(".") and sentence.count(". ") == 0
    with pytest.raises(BundleError, match=FAMILY[METHODS[method]]):
        evaluate(scans(2), without, purifier=PurifySettings(method))


def test_no_figure_of_a_classifier_hangs_on_the_family(whole):
    files = {part: {"file": f"{part}.safetensors"} for part in FAMILY}
    hashes = {**whole.hashes, **{entry["file"]: "9" * 64 for entry in files.values()}}
    held = replace(whole, facts={**whole.facts, **files}, hashes=hashes)
    assert weights_record(held, NAME) == weights_record(whole, NAME)
    assert set(weights_record(held, NAME, ("mask_dit",))) - set(whole.hashes) == {"mask_dit.safetensors"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow
def test_the_command_line_says_what_is_missing(capsys, monkeypatch, sample_files, tmp_path, bundle, method):
    without = replace(bundle, **{METHODS[method]: None})
    monkeypatch.setattr("core.cli.options.load_bundle", lambda *_: without)
    assert main(["purify", str(sample_files[0]), "--method", method, "--out", str(tmp_path / "new")]) == 2
    complaint = capsys.readouterr().err.strip()
    assert FAMILY[METHODS[method]] in complaint and "\n" not in complaint and complaint.endswith(".")
    assert not (tmp_path / "new").exists()
