"""Distances of images, and the course of an attack, against numbers solved by hand."""

import math

import numpy as np
import pytest
import torch

from core.attacks import AttackStep
from core.audit.course import Course
from core.audit.fidelity import distance


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


def step(index: int, value: float, logits: torch.Tensor | None = None) -> AttackStep:
    return AttackStep(index, torch.tensor([float(index)]), torch.full((1, 1, 2, 2), value), logits)


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.25), ("l2", 0.5), ("l1", 1.0)])
def test_a_mark_by_hand(norm: str, size: float) -> None:
    course = Course(np.zeros((1, 2, 2), np.float32), 1, 0.9, norm)
    course.take(step(0, 0.25, torch.tensor([[0.0, math.log(3.0)]])))
    first, last = course.marks
    assert (first.step, first.loss, first.probability, first.size) == (0, None, 0.9, 0.0)
    assert (last.step, last.loss) == (1, 0.0)
    assert last.probability == pytest.approx(0.75)
    assert last.size == pytest.approx(size)
    assert (last.pixels == 0.25).all()


def test_the_model_is_asked_about_the_pixels_of_the_mark() -> None:
    course = Course(np.zeros((1, 2, 2), np.float32), 0, 1.0, model=lambda pixels: pixels.flatten(1)[:, :2] * 0)
    course.take(step(0, 0.25, torch.tensor([[9.0, 0.0]])))
    assert course.marks[-1].probability == pytest.approx(0.5)


def test_a_long_course_is_thinned_and_ends_with_its_last_step() -> None:
    asked = []
    course = Course(
        np.zeros((1, 2, 2), np.float32), 0, 1.0, model=lambda pixels: asked.append(0) or torch.zeros(1, 2), most=10
    )
    for index in range(1001):
        course.take(step(index, index / 2000))
        assert len(course.marks) <= 10
    steps = [mark.step for mark in course.marks]
    assert steps == list(range(0, 1001, 128))
    assert len(asked) < 80
    course.finish()
    assert course.marks[-1].step == course.steps == 1001
    assert float(course.marks[-1].pixels.max()) == pytest.approx(0.5)
    assert float(course.result.max()) == pytest.approx(0.5)


def test_a_benign_change_has_no_loss_and_no_probability_of_its_own() -> None:
    course = Course(np.zeros((1, 2, 2), np.float32), 0, 1.0)
    course.take(step(0, 0.25))
    assert (course.marks[-1].loss, course.marks[-1].probability) == (None, None)


def test_the_image_itself_stays_however_long_it_takes() -> None:
    course = Course(np.zeros((1, 2, 2), np.float32), 0, 1.0, most=4)
    for index in range(50):
        course.take(step(index, 0.5))
    course.finish()
    course.finish()
    assert course.marks[0].step == 0
    assert len({mark.step for mark in course.marks}) == len(course.marks) <= 4
