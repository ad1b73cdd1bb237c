import ast
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from core.attacks.artefacts import through_torchio
from core.attacks.corruptions import SEVERITIES, corruption, disk
from core.bundles.calibration import OF_CAMERAS, OF_SCANNERS, benign_changes

ROOT = Path(__file__).resolve().parents[2]
DRAWN = (
    "gaussian-noise", "patchdrop", "motion", "ghosting", "bias-field", "spikes", "shot-noise", "brightness", "stain",
)  # fmt: skip
BY_CHANNEL = {"gaussian-noise", "shot-noise", "stain", "jpeg"}


def blobs(count=2, channels=1, side=128):
    """Smooth bright disks of different sizes off the middle of a black field, with a darker hole each."""
    rows = torch.linspace(-1, 1, side)
    images = []
    for index in range(count):
        distance = ((rows[:, None] + 0.1 * index) ** 2 + (rows * 1.3 - 0.1) ** 2).sqrt()
        image = 0.7 * torch.sigmoid((0.7 - 0.1 * index - distance) * 40) - 0.4 * torch.sigmoid((0.2 - distance) * 40)
        images.append(image.expand(channels, side, side))
    return torch.stack(images).clamp(0, 1)


def changed(name, pixels, severity=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(len(pixels), dtype=torch.long)
    (step,) = corruption(name)(None, pixels, labels, severity=severity, generator=generator, eps=8)
    assert step.index == 0 and step.loss.shape == (len(pixels),)
    return step.attacked


def constant(value):
    return torch.full((1, 1, 128, 128), value)


@pytest.mark.parametrize("name", SEVERITIES)
@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (1, 3, 64, 96)])
def test_shape_and_range_stay(name, shape):
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    for severity in (1, 5):
        result = changed(name, pixels, severity)
        assert result.shape == shape and result.dtype == torch.float32
        assert 0 <= result.min() and result.max() <= 1
        assert not torch.equal(result, pixels)


@pytest.mark.parametrize("name", SEVERITIES)
def test_the_seed_decides_and_the_pixels_given_stay(name):
    pixels = blobs()
    kept = pixels.clone()
    first, again, other = (changed(name, pixels, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and torch.equal(pixels, kept)
    assert torch.equal(first, other) == (name not in DRAWN)


@pytest.mark.parametrize("name", SEVERITIES)
def test_an_image_does_not_depend_on_its_neighbours(name):
    pixels = blobs(3)
    elsewhere = torch.cat([pixels[:1], 1 - pixels[:1], pixels[2:]])
    together, other, alone = changed(name, pixels, 3), changed(name, elsewhere, 3), changed(name, pixels[:1], 3)
    assert torch.allclose(together[:1], alone, atol=1e-6)
    assert torch.allclose(together[2:], other[2:], atol=1e-6)


@pytest.mark.parametrize("name", DRAWN)
def test_images_of_a_batch_get_different_changes(name):
    pixels = blobs(1).repeat(4, 1, 1, 1)
    result = changed(name, pixels, 3)
    assert len({tuple(image.flatten().tolist()) for image in result}) > 1


@pytest.mark.parametrize("name", SEVERITIES)
def test_no_global_randomness(name):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    changed(name, blobs(), 2)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert python_state == random.getstate()
    assert all(np.array_equal(before, after) for before, after in zip(numpy_state, np.random.get_state()))


@pytest.mark.parametrize("name", SEVERITIES)
def test_a_higher_severity_changes_more(name):
    pixels = blobs()
    distances = torch.stack(
        [(changed(name, pixels, severity) - pixels).flatten(1).norm(dim=1) for severity in range(1, 6)]
    )
    assert (distances[0] > 0).all() and (distances.diff(dim=0) > 0).all()


@pytest.mark.parametrize("name", sorted(set(SEVERITIES) - BY_CHANNEL))
def test_channels_change_alike(name):
    result = changed(name, blobs(channels=3), 3)
    assert torch.allclose(result[:, :1].expand_as(result), result, atol=1e-6)


@pytest.mark.parametrize("name", sorted(BY_CHANNEL - {"jpeg"}))
def test_what_is_drawn_is_drawn_for_each_channel(name):
    result = changed(name, blobs(channels=3), 3)
    assert not torch.allclose(result[:, :1], result[:, 1:2])


@pytest.mark.parametrize("severity", [0, 6, 1.5])
def test_a_severity_out_of_range_gives_a_sentence(severity):
    with pytest.raises(ValueError, match=r"^The severity must be a whole number from 1 to 5, not .*\.$"):
        changed("gamma", blobs(), severity)


def test_an_unknown_name_gives_a_sentence():
    with pytest.raises(
        ValueError, match=r"^There is no benign change named 'fog'; choose one of: gaussian-noise, .*\.$"
    ):
        corruption("fog")


def test_gamma_is_a_power():
    assert torch.allclose(changed("gamma", constant(0.25), 5), constant(0.5))
    assert torch.allclose(changed("gamma", constant(0.5), 2), constant(0.5**0.8))


def test_gaussian_noise_has_its_standard_deviation():
    noise = changed("gaussian-noise", constant(0.5), 5) - 0.5
    assert noise.std().item() == pytest.approx(0.08, rel=0.03) and abs(noise.mean().item()) < 0.002


def test_shot_noise_spreads_with_the_light_that_arrives():
    bright, dark = (changed("shot-noise", constant(value), 4) - value for value in (0.8, 0.2))
    assert bright.std().item() == pytest.approx((0.8 * 2e-3) ** 0.5, rel=0.03)
    assert bright.std().item() / dark.std().item() == pytest.approx(2, rel=0.05)


def test_stain_is_a_power_and_brightness_a_factor_of_no_more_than_said():
    pixels = torch.full((64, 3, 32, 32), 0.5)
    powers = changed("stain", pixels, 3)[:, :, 0, 0].log() / torch.tensor(0.5).log() - 1
    assert 0.1 <= powers.abs().min() and powers.abs().max() <= 0.2001 and powers.min() < 0 < powers.max()
    factors = changed("brightness", pixels, 3)[:, :, 0, 0] / 0.5 - 1
    assert 0.0749 <= factors.abs().min() and factors.abs().max() <= 0.1501 and factors.min() < 0 < factors.max()


def test_images_of_a_microscope_undergo_what_a_camera_does_and_scans_what_a_scanner_does():
    assert benign_changes(1) == OF_SCANNERS and benign_changes(3) == OF_CAMERAS
    assert set(OF_SCANNERS) | set(OF_CAMERAS) == set(SEVERITIES)


@pytest.mark.parametrize("radius", SEVERITIES["defocus-blur"])
def test_a_disk_sums_to_one_and_has_the_area_of_its_radius(radius):
    kernel = disk(radius)
    assert kernel.sum().item() == pytest.approx(1)
    assert torch.equal(kernel, kernel.T) and torch.equal(kernel, kernel.flip(0))
    assert 1 / kernel.max().item() == pytest.approx(torch.pi * radius**2, rel=0.02 if radius > 0.71 else 0.1)


def test_defocus_turns_a_point_into_a_disk():
    pixels = constant(0.0)
    pixels[0, 0, 40, 60] = 1
    result = changed("defocus-blur", pixels, 5)[0, 0]
    rows = torch.arange(128.0)
    distance = ((rows[:, None] - 40) ** 2 + (rows - 60) ** 2).sqrt()
    assert torch.allclose(result[distance < 2.79], torch.tensor(1 / (torch.pi * 3.5**2)), rtol=0.02)
    assert (result[distance > 4.21] == 0).all()
    assert result.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("severity, dropped", [(1, 13), (2, 26), (3, 51), (4, 90), (5, 128)])
def test_patchdrop_blackens_its_share_of_the_patches(severity, dropped):
    result = changed("patchdrop", constant(0.5).repeat(2, 1, 1, 1), severity)
    patches = result.unfold(2, 8, 8).unfold(3, 8, 8).reshape(2, 256, 64)
    assert ((patches == 0).all(2) | (patches == 0.5).all(2)).all()
    assert (patches == 0).all(2).sum(1).tolist() == [dropped, dropped]


def test_ghosts_stand_half_or_a_quarter_of_the_field_away_along_one_axis():
    pixels = constant(0.0)
    pixels[0, 0, 60:68, 60:68] = 1
    seen = set()
    for seed in range(6):
        ghosts = changed("ghosting", pixels, 5, seed)[0, 0].clone()
        ghosts[60:68, 60:68] = 0
        rows, columns = (ghosts > 0.15).nonzero().T
        block = set(range(60, 68))
        along = rows if set(columns.tolist()) == block else columns
        assert block in (set(rows.tolist()), set(columns.tolist()))
        seen.add(tuple(sorted({(place - 60) // 8 % 16 for place in along.tolist()})))
    assert seen == {(8,), (4, 8, 12)}  # in units of 8 of the 128 pixels


def test_the_bias_field_is_smooth_and_leaves_the_middle():
    field = changed("bias-field", constant(0.2), 3)[0, 0] / 0.2
    assert torch.allclose(field[63:65, 63:65], torch.tensor(1.0), atol=0.02)
    assert field.std() > 0.05
    assert max(field.diff(dim=0).abs().max(), field.diff(dim=1).abs().max()) < 0.15


def test_the_stripes_have_the_amplitude_that_is_promised():
    stripes = changed("spikes", constant(0.5), 3) - 0.5
    # Two cosines of amplitude a = .2 · .5 have the mean square a², or 2a² where they coincide up to their sign.
    assert stripes.square().mean().sqrt().item() == pytest.approx(0.1, rel=0.02)
    spectrum = torch.fft.fft2(stripes[0, 0]).abs()
    assert (spectrum > 0.1 * spectrum.max()).sum() == 4  # each of the two and its mirror image


def test_motion_turns_about_the_middle_of_the_slice():
    """A disk around the middle looks the same from every angle."""
    from torchio import Motion

    rows = torch.arange(128.0) - 63.5
    distance = (rows[:, None] ** 2 + rows**2).sqrt()
    middle, aside = (torch.sigmoid(30 - distance.roll(shift, 0))[None, None] for shift in (0, 20))
    motion = Motion(np.array([[20.0, 0, 0]]), np.zeros((1, 3)), np.array([0.45]), "linear")
    assert (through_torchio(motion, middle) - middle).abs().max() < 0.05
    assert (through_torchio(motion, aside) - aside).abs().max() > 0.1


def test_torchio_is_imported_only_where_it_is_used():
    """It brings SimpleITK, whose library of 270 MB an examination shouldn't wait for."""
    for path in (ROOT / "core").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert not {name.split(".")[0] for name in names} & {"torchio", "SimpleITK"}, path
