"""Pictures for the screen: size, aspect, colours."""

import io

import numpy as np
import pytest
from PIL import Image

from core.explanation import overlays


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def test_pixels_are_as_wide_and_high_as_in_the_body() -> None:
    picture = opened(overlays.scan_png(np.zeros((100, 100)), (5.0, 2.0, 1.0)))
    assert picture.shape[0] == pytest.approx(2 * picture.shape[1], abs=1)


def test_no_side_falls_below_the_scan_s_own() -> None:
    assert opened(overlays.scan_png(np.zeros((900, 700)))).shape[:2] == (900, 700)
    assert max(opened(overlays.scan_png(np.zeros((64, 32)))).shape) == overlays.LEAST_SIDE


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4000, 2000), (2000, 4000, 3)])
def test_no_side_exceeds_what_a_screen_shows(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, in_bytes = [], overlays._bytes
    monkeypatch.setattr(overlays, "_bytes", lambda image: drawn.append(image.shape) or in_bytes(image))
    frame = np.full(shape, 0.5, dtype=np.float32)
    pixels = np.full((frame.ndim // 3 * 2 + 1, 16, 16), 0.5)
    pictures = [
        overlays.scan_png(frame),
        overlays.overlay_png(frame, np.zeros((16, 16)), 1.0, 1.0),
        overlays.model_png(pixels, shape),
        overlays.residual_png(pixels, pixels, 0.1, shape),
    ]
    expected = tuple(side * overlays.MOST_SIDE // 4000 for side in shape[:2])
    assert all(opened(picture).shape[:2] == expected for picture in pictures)
    assert all(size[:2] == expected for size in drawn)  # colours cost the memory: shrunk before them, not after
    assert (opened(pictures[0]) == 128).all()


@pytest.mark.parametrize("spacing", [(1.0, 1e-4, 1.0), (1.0, 1.0, 1e-4)])
def test_extreme_spacing_gives_no_extreme_picture(spacing: tuple[float, float, float]) -> None:
    # Nobody measured that: the screen, like the models, takes the pixels for squares.
    assert opened(overlays.scan_png(np.zeros((512, 512)), spacing)).shape[:2] == (overlays.LEAST_SIDE,) * 2


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


def test_a_change_is_amplified_as_far_as_its_colours_reach() -> None:
    before, gains = np.full((1, 32, 32), 0.5), (1, 2, 5, 10)
    changes = {0.3: 1, 0.2: 2, 0.06: 5, 0.001: 10, 0.0: 10}
    assert {change: overlays.visible_gain(before, before + change, gains) for change in changes} == changes
    assert overlays.visible_gain(np.zeros((1, 32, 32)), np.ones((1, 32, 32)), gains) == 1


def test_map_limit_is_round() -> None:
    assert overlays.map_limit(np.full(100, 0.13)) == pytest.approx(0.15)
    assert overlays.map_limit(np.full(100, 3.1)) == pytest.approx(4)
    assert overlays.map_limit(np.zeros(100)) > 0


def test_colour_scans() -> None:
    assert opened(overlays.scan_png(np.ones((8, 8, 3)))).min() == 255
    assert opened(overlays.model_png(np.ones((3, 8, 8)), (16, 16, 3))).min() == 255


def test_a_thumbnail_is_small_and_as_in_the_body():
    pixels = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    picture = Image.open(io.BytesIO(overlays.thumbnail_png(pixels, (400, 200), (1.0, 1.0, 2.0))))
    assert picture.size == (256, 256)  # 400 rows of 1 mm, 200 columns of 2 mm
    assert Image.open(io.BytesIO(overlays.thumbnail_png(pixels, (400, 200)))).size == (128, 256)


def test_strengths_are_grey_and_colours_go_by_them():
    values = np.zeros((64, 64), np.float32)
    values[:, 32:] = 0.2
    picture = Image.open(io.BytesIO(overlays.strength_png(values, 0.4, (64, 64))))
    assert picture.mode == "L" and picture.size == (64, 64)
    assert np.asarray(picture)[:, [0, 63]].tolist() == [[0, 128]] * 64
    colours = overlays.colours(signed=True)
    assert len(colours) == 256 and max(colours[128]) < 30 and colours[0][2] > colours[0][0]
