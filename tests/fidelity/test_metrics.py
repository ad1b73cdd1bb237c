"""Distances of images, and the course of an attack, against numbers solved by hand."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from core.attacks import AttackStep
from core.fidelity.metrics import distance, fidelity, residual_spectrum
from core.trajectories.attack import AttackTrajectory


def test_identical_images() -> None:
    image = np.random.default_rng(0).random((1, 16, 16), dtype=np.float32)
    same = distance(image, image.copy())
    assert (same.ssim, same.psnr, same.linf, same.l2) == (1.0, math.inf, 0.0, 0.0)


def test_a_constant_change_by_hand() -> None:
    before = np.full((1, 8, 8), 0.25)
    moved = distance(before, before + 0.1)
    assert moved.linf == pytest.approx(0.1)
    assert moved.l2 == pytest.approx(0.1 * 8)  # sqrt(64 · 0.01)
    assert moved.psnr == pytest.approx(20)  # 10 log10(1 / 0.01)
    # Without variance, SSIM is its luminance term (2ab + c) / (a² + b² + c), c = 0.01² (Wang et al. 2004, equation 6).
    assert moved.ssim == pytest.approx((2 * 0.25 * 0.35 + 1e-4) / (0.25**2 + 0.35**2 + 1e-4))


def test_one_pixel_of_three_channels() -> None:
    before = np.zeros((3, 8, 8))
    after = before.copy()
    after[2, 3, 4] = 0.5
    moved = distance(before, after)
    assert (moved.linf, moved.l2) == (0.5, 0.5)
    assert moved.psnr == pytest.approx(10 * math.log10(3 * 64 / 0.25))


@pytest.mark.parametrize("shapes", [((1, 8, 8), (1, 8, 9)), ((8, 8), (8, 8)), ((1, 4, 4), (1, 4, 4))])
def test_what_cannot_be_measured_is_said(shapes: tuple) -> None:
    with pytest.raises(ValueError, match="needed|at least"):
        distance(*(np.zeros(shape) for shape in shapes))


def undecided(pixels: torch.Tensor) -> torch.Tensor:
    """A classifier to which both classes are as likely."""
    return pixels.flatten(1)[:, :2] * 0


def step(index: int, value: float, logits: torch.Tensor | None = None) -> AttackStep:
    return AttackStep(index, torch.tensor([float(index)]), torch.full((1, 1, 2, 2), value), logits)


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.25), ("l2", 0.5), ("l1", 1.0)])
def test_a_mark_by_hand(norm: str, size: float) -> None:
    classifier = lambda pixels: torch.tensor([[0.0, math.log(3.0)]])  # noqa: E731
    trajectory = AttackTrajectory(np.zeros((1, 2, 2), np.float32), 1, 0.9, classifier, norm)
    trajectory.take(step(0, 0.25, torch.zeros(1, 2)))
    first, last = trajectory.snapshots
    assert (first.step, first.loss, first.probability, first.size) == (0, None, 0.9, 0.0)
    assert (last.step, last.loss) == (1, 0.0)
    assert last.probability == pytest.approx(0.75)
    assert last.size == pytest.approx(size)
    assert (last.pixels == 0.25).all()


def test_the_model_is_asked_about_the_pixels_of_the_mark() -> None:
    brighter = lambda pixels: pixels.flatten(1)[:, :2] * torch.tensor([4.0, 0.0])  # noqa: E731
    trajectory = AttackTrajectory(np.zeros((1, 2, 2), np.float32), 0, 0.5, brighter)
    for index, value in enumerate((0.25, 0.75)):  # the attack is told what was answered before each step
        told = brighter(torch.full((1, 1, 2, 2), (0.0, 0.25)[index]))
        trajectory.take(step(index, value, told))
    shares = [snapshot.probability for snapshot in trajectory.snapshots]
    assert shares == pytest.approx([0.5, 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-3))])


def test_a_long_course_is_thinned_and_ends_with_its_last_step() -> None:
    asked = []
    trajectory = AttackTrajectory(
        np.zeros((1, 2, 2), np.float32), 0, 1.0, lambda pixels: asked.append(0) or torch.zeros(1, 2), most=10
    )
    for index in range(1001):
        trajectory.take(step(index, index / 2000))
        assert len(trajectory.snapshots) <= 10
    steps = [snapshot.step for snapshot in trajectory.snapshots]
    assert steps == list(range(0, 1001, 128))
    assert len(asked) < 80
    trajectory.finish()
    assert trajectory.snapshots[-1].step == trajectory.steps == 1001
    assert float(trajectory.snapshots[-1].pixels.max()) == pytest.approx(0.5)
    assert float(trajectory.result.max()) == pytest.approx(0.5)


def test_a_benign_change_has_no_loss_but_the_classifier_answers_it() -> None:
    trajectory = AttackTrajectory(np.zeros((1, 2, 2), np.float32), 0, 1.0, undecided)
    trajectory.take(step(0, 0.25))
    assert (trajectory.snapshots[-1].loss, trajectory.snapshots[-1].probability) == (None, 0.5)


def test_the_image_itself_stays_however_long_it_takes() -> None:
    trajectory = AttackTrajectory(np.zeros((1, 2, 2), np.float32), 0, 1.0, undecided, most=4)
    for index in range(50):
        trajectory.take(step(index, 0.5))
    trajectory.finish()
    trajectory.finish()
    assert trajectory.snapshots[0].step == 0
    assert len({snapshot.step for snapshot in trajectory.snapshots}) == len(trajectory.snapshots) <= 4


def textured(shape: tuple[int, ...] = (1, 128, 128)) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def test_identical_images_keep_everything() -> None:
    same = fidelity(textured(), textured())
    assert (same.gmsd, same.nmi, same.psnr) == (0, 2, math.inf)
    assert same.ms_ssim == pytest.approx(1)


def test_fidelity_has_the_distance() -> None:
    before, after = textured(), textured() ** 2
    assert asdict(distance(before, after)).items() <= asdict(fidelity(before, after)).items()


def test_ms_ssim_of_a_constant_change_is_the_luminance_of_the_coarsest_scale() -> None:
    before = np.full((1, 128, 128), 0.25)
    luminance = (2 * 0.25 * 0.35 + 1e-4) / (0.25**2 + 0.35**2 + 1e-4)
    assert fidelity(before, before + 0.1).ms_ssim == pytest.approx(luminance**0.1333, rel=1e-4)
    # 32 pixels have three scales: 32, 16, 8; their weights are scaled to a sum of 1.
    small = before[:, :32, :32]
    weight = 0.3001 / (0.0448 + 0.2856 + 0.3001)
    assert fidelity(small, small + 0.1).ms_ssim == pytest.approx(luminance**weight, rel=1e-4)


def test_structure_turned_upside_down_is_none_kept() -> None:
    assert fidelity(textured(), 1 - textured()).ms_ssim == 0


def test_ms_ssim_forgives_fine_noise_more_than_ssim() -> None:
    before = np.repeat(np.repeat(textured((1, 16, 16)), 8, 1), 8, 2)
    noisy = before + np.random.default_rng(1).normal(0, 0.1, before.shape)
    measured = fidelity(before, noisy)
    assert measured.ssim < measured.ms_ssim < 1


def test_mutual_information_by_hand() -> None:
    halves = np.zeros((1, 8, 8))
    halves[:, 4:] = 1
    assert fidelity(halves, 1 - halves).nmi == pytest.approx(2)  # one follows from the other
    assert fidelity(halves, halves.transpose(0, 2, 1)).nmi == pytest.approx(1)  # independent
    assert fidelity(halves, halves * 0 + 0.5).nmi == 1  # one value tells nothing


def test_gmsd_by_hand() -> None:
    before = np.zeros((1, 8, 8))
    after = before.copy()
    after[:, :, 4:] = 1
    # At half resolution (4 × 4), the two columns along the step have a Prewitt gradient of 1 and the others none:
    # similarity c / (1 + c) there and 1 elsewhere, whose deviation is half of the difference.
    c = 170 / 255**2
    assert fidelity(before, after).gmsd == pytest.approx((1 - c / (1 + c)) / 2)


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 65, 64), (3, 64, 64)])
def test_the_spectrum_of_a_sine_peaks_at_its_frequency(shape: tuple[int, ...]) -> None:
    columns = np.arange(shape[2])
    before = np.full(shape, 0.5)
    spectrum = residual_spectrum(before, before + 0.1 * np.sin(2 * np.pi * 5 * columns / 64))
    assert spectrum.shape == (33,)
    assert spectrum.argmax() == 5
    assert np.delete(spectrum, 5).max() < 1e-12


def test_the_spectrum_by_hand() -> None:
    rows, columns = np.mgrid[:4, :4]
    before = np.zeros((1, 4, 4))
    assert residual_spectrum(before, before + 0.5) == pytest.approx([0.25, 0, 0])
    # An alternation of ±0.2 along one axis has the mean square 0.04, in one coefficient, (0, 2), of the six at
    # frequency 2: (0, 2), (2, 0), and (±1, 2), (2, ±1), whose length of √5 rounds to 2.
    alternating = np.where(columns % 2, 0.2, -0.2)
    assert residual_spectrum(before, before + alternating) == pytest.approx([0, 0, 0.04 / 6])


def test_a_spectrum_of_two_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        residual_spectrum(np.zeros((1, 8, 8)), np.zeros((1, 8, 9)))
