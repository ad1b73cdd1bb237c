import tracemalloc

import numpy as np
import pytest
import torch

from core.scans.geometry import MOST_STRETCH, Geometry, plane_of
from core.scans.preparation import prepare, to_native


def test_a_frame_of_the_right_size_is_taken_as_it_is():
    frame = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    assert np.array_equal(prepare(frame, 128, 1)[0, 0].numpy(), frame)


def test_padding_is_black_and_centred():
    prepared = prepare(np.ones((64, 128), np.float32), 128, 1)[0, 0].numpy()
    assert prepared[:30].max() == 0 and prepared[-30:].max() == 0
    assert prepared[40:88].min() > 0.99


def test_maps_come_back_to_where_they_belong():
    frame = np.zeros((200, 100), np.float32)
    frame[150:170, 20:40] = 1
    back = to_native(prepare(frame, 128, 1)[0, 0].numpy(), frame.shape)
    assert back.shape == frame.shape
    assert np.abs(back - frame).mean() < 0.02


def test_colour_turns_grey_and_grey_turns_colour():
    colour = np.zeros((16, 16, 3), np.float32)
    colour[..., 1] = 1
    assert np.allclose(prepare(colour, 16, 1).numpy(), 0.587)
    assert prepare(np.ones((16, 16), np.float32), 16, 3).shape == (1, 3, 16, 16)


def test_thick_slices_are_seen_in_their_true_proportions():
    # 60 rows of 3 mm and 180 columns of 1 mm are a square in the body, and what is round there is round for a model.
    rows, columns = np.mgrid[:60, :180]
    ball = (np.hypot(3 * (rows - 29.5), columns - 89.5) < 60).astype(np.float32)
    seen = prepare(ball, 128, 1, (1.0, 3.0, 1.0))[0, 0].numpy() > 0.5
    high, wide = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    assert abs(np.ptp(high) - np.ptp(wide)) <= 2
    assert abs(np.ptp(high) + 1 - 120 * 128 / 180) <= 2


@pytest.mark.parametrize("shape, spacing", [((60, 180), (1, 3, 1)), ((150, 90), (1, 0.5, 2)), ((40, 40), (5, 1, 4))])
def test_maps_come_back_through_pixels_of_any_shape(shape, spacing):
    frame = np.zeros(shape, np.float32)
    high, wide = shape[0] // 3, shape[1] // 3
    frame[high : 2 * high, wide : 2 * wide] = 1
    back = to_native(prepare(frame, 128, 1, spacing)[0, 0].numpy(), frame.shape, spacing)
    assert back.shape == frame.shape
    assert np.abs(back - frame).mean() < 0.02


def test_a_coarse_map_lies_on_its_frame():
    patches = np.zeros((16, 16), np.float32)
    patches[:, 8:] = 1
    native = to_native(patches, (120, 100), (1, 1, 2))
    assert native.shape == (120, 100) and native[:, :40].max() < 0.1 and native[:, 60:].min() > 0.9


def test_a_frame_of_the_right_size_is_resampled_where_its_pixels_are_no_squares():
    frame = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    assert np.array_equal(prepare(frame, 128, 1, (3, 0.9, 0.9))[0, 0].numpy(), frame)
    seen = prepare(frame, 128, 1, (3, 1, 2))[0, 0].numpy()
    assert seen[:32].max() == 0 and seen[-32:].max() == 0 and seen[32:96].mean() > 0.4


@pytest.mark.parametrize(
    "rows, columns", [(1000, 1), (1, 1000), (0, 1), (-1, 1), (np.nan, 1), (np.inf, 1), (1e308, 1e-308)]
)
def test_spacing_that_cannot_be_right_is_taken_for_square(rows, columns):
    frame, spacing = np.random.default_rng(0).random((20, 30)).astype(np.float32), (1, rows, columns)
    assert torch.equal(prepare(frame, 64, 1, spacing), prepare(frame, 64, 1))
    seen = frame[:, :20]
    assert np.array_equal(to_native(seen, frame.shape, spacing), to_native(seen, frame.shape))


def test_the_longest_frame_keeps_a_row_and_takes_no_memory():
    tracemalloc.start()
    seen = prepare(np.ones((4, 20_000), np.float32), 128, 1, (1, 1, MOST_STRETCH))
    assert seen[0, 0].max() == 1 and tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_screen_shows_the_proportions_that_a_model_sees():
    for spacing in (None, (1, 3, 1), (1, 1, 3), (1, 1.0001, 1)):
        geometry = Geometry.of((100, 80), spacing)
        rows, columns = geometry.placed(128)
        width, height = geometry.drawn(640, 1536)
        assert abs((columns.stop - columns.start) / (rows.stop - rows.start) - width / height) < 0.05


@pytest.mark.parametrize(
    "normal, plane",
    [((0, 0, 1), "axial"), ((0, 0, -1), "axial"), ((0, 1, 0), "coronal"), ((-1, 0, 0), "sagittal"),
     ((0, -0.42, 0.91), "axial"), ((0, 0.707, 0.707), "oblique")],
)  # fmt: skip
def test_a_plane_is_named_by_the_axis_that_its_normal_is_near(normal, plane):
    assert plane_of(np.array(normal)) == plane
