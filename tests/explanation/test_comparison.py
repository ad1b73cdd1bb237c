"""Pictures to compare: what lies in the square of the models comes out as it is, without the black around it."""

import io

import numpy as np
import pytest
from PIL import Image

from core.explanation.comparison import borders_in_stack, stack_pictures


def test_pictures_share_a_grid_without_the_black_around_them():
    first = np.zeros((1, 16, 16), np.float32)
    first[0, 4:12] = np.linspace(0, 1, 16)
    stack = stack_pictures([first, 1 - first], (50, 100), (5.0, 2.0, 2.0))
    assert stack.levels.shape == (2, 8, 16) and stack.levels.dtype == np.dtype("<u2")
    assert np.abs(stack.levels[0] / 65_535 - first[0, 4:12]).max() < 1e-5
    assert stack.millimetre == pytest.approx(100 * 2 / 16)
    assert Image.open(io.BytesIO(stack.still())).size == (1280 // 2, 160)


def test_colours_stay_and_nobody_measured_a_photograph():
    stack = stack_pictures([np.ones((3, 8, 8), np.float32)], (8, 8, 3))
    assert stack.levels.shape == (1, 8, 8, 3) and stack.millimetre is None
    assert stack_pictures([np.ones((1, 8, 8), np.float32)], (8, 8), (1.0, 1.0, 1e-4)).millimetre is None


def test_a_region_is_outlined_where_it_lies_on_them():
    mask = np.zeros((16, 16), bool)
    mask[6:8, 2:5] = True
    (line,) = borders_in_stack(mask, (50, 100))
    assert line.min(0) == pytest.approx([2, 2], abs=0.6) and line.max(0) == pytest.approx([4, 5], abs=0.6)
    assert borders_in_stack(np.zeros((16, 16), bool), (50, 100)) == []
