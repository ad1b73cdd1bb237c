"""Pictures for the screen: size, aspect, colours."""

import io

import numpy as np
import pytest
from PIL import Image

from core import overlays


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def test_pixels_are_as_wide_and_high_as_in_the_body() -> None:
    picture = opened(overlays.scan_png(np.zeros((100, 100)), (5.0, 2.0, 1.0)))
    assert picture.shape[0] == pytest.approx(2 * picture.shape[1], abs=1)


def test_no_side_falls_below_the_scan_s_own() -> None:
    assert opened(overlays.scan_png(np.zeros((900, 700)))).shape[:2] == (900, 700)
    assert max(opened(overlays.scan_png(np.zeros((64, 32)))).shape) == overlays.LEAST_SIDE


def test_zero_error_hides_nothing() -> None:
    frame = np.random.default_rng(0).random((64, 64))
    plain = overlays.scan_png(frame)
    assert (opened(overlays.overlay_png(frame, np.zeros((16, 16)), 1.0, 1.0)) == opened(plain)).all()
    assert (opened(overlays.overlay_png(frame, np.ones((16, 16)), 1.0, 0.0)) == opened(plain)).all()


def test_residual_is_black_where_nothing_changed_and_blue_where_darker() -> None:
    before = np.full((1, 32, 32), 0.5)
    after = before.copy()
    after[0, :, :8] -= 0.2
    after[0, :, 24:] += 0.2
    picture = opened(overlays.residual_png(before, after, 0.2, (32, 32)))
    middle, left, right = picture[320, 320], picture[320, 20], picture[320, 620]
    assert middle.max() < 30
    assert left[2] > left[0]
    assert right[0] > right[2]


def test_map_limit_is_round() -> None:
    assert overlays.map_limit(np.full(100, 0.13)) == pytest.approx(0.15)
    assert overlays.map_limit(np.full(100, 3.1)) == pytest.approx(4)
    assert overlays.map_limit(np.zeros(100)) > 0


def test_colour_scans() -> None:
    assert opened(overlays.scan_png(np.ones((8, 8, 3)))).min() == 255
    assert opened(overlays.model_png(np.ones((3, 8, 8)), (16, 16, 3))).min() == 255
