"""Regions drawn by hand on heads painted by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from core.fidelity.region import Region, RegionError, attributed, ellipse, polygon
from core.fidelity.region_fidelity import LEAST_PIXELS, PLACES, region_fidelity
from core.scans.preparation import prepare

SIDE = 128
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


HEAD, LESION, WIDE = disc(64, 64, 54), disc(64, 84, 7), disc(64, 84, 12)
TEXTURE = np.random.default_rng(0).normal(0, 0.02, (SIDE, SIDE))


def scan(inside: float = 0.7) -> np.ndarray:
    """(1, 128, 128): a head of 0.4 in black air, and a lesion in it."""
    return np.clip(np.where(LESION, inside, np.where(HEAD, 0.4, 0.0)) + HEAD * TEXTURE, 0, 1)[None]


def test_shapes_by_hand() -> None:
    # The middles of the four pixels in the middle are .707 from the corner they share, their neighbours 1.58.
    drawn = ellipse((4, 6), 2, (2, 3), (1, 1))
    assert drawn.mask.tolist() == np.pad(np.ones((2, 2), bool), ((1, 1), (2, 2))).tolist()
    assert (drawn.frame, drawn.source, drawn.mask.flags.writeable) == (2, "ellipse", False)
    assert drawn.area((5.0, 0.5, 2.0)) == 4 and drawn.area(None) is None
    flat = ellipse((9, 9), 0, (4.5, 4.5), (1, 4))
    assert np.ptp(np.nonzero(flat.mask)[1]) > np.ptp(np.nonzero(flat.mask)[0])
    square = polygon((6, 6), 0, [(1, 2), (1, 5), (4, 5), (4, 2)])
    assert square.mask.tolist() == np.pad(np.ones((3, 3), bool), ((1, 2), (2, 1))).tolist()


def test_what_reaches_beyond_the_slice_is_cut_off() -> None:
    assert polygon((6, 6), 0, [(-9, -9), (-9, 30), (30, 30), (30, -9)]).mask.all()
    assert ellipse((6, 6), 0, (0, 0), (2, 2)).mask.sum() == 4 - 1  # a corner of the circle's upper left quarter


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ellipse((6, 6), 0, (30, 30), (2, 2)), "no pixel"),
        (lambda: polygon((6, 6), 0, [(1, 1), (2, 2)]), "three corners"),
        (lambda: polygon((6, 6), 0, [(1, 1), (2, 2), (3, 3)]), "no pixel"),
        (lambda: attributed(np.full((16, 16), -1.0), (64, 64), 0), "no part"),
    ],
)
def test_what_is_no_region_is_said(make: Callable[[], Region], reason: str) -> None:
    with pytest.raises(RegionError, match=reason):
        make()


def test_it_lies_where_the_pixels_lie() -> None:
    # Rows three times as far apart as columns, and a frame that is wider than high.
    frame, spacing = np.zeros((40, 200), np.float32), (1.0, 3.0, 1.0)
    frame[10:20, 60:120] = 1
    pixels = prepare(frame, SIDE, 1, spacing)[0, 0].numpy()
    mask = Region(frame > 0, 0, "file").at(SIDE, spacing)
    assert mask.sum() > 500 and np.array_equal(mask, pixels >= 0.5)
    own = np.zeros((SIDE, SIDE), bool)
    own[3, 5] = True
    assert np.array_equal(Region(own.copy(), 0, "file").at(SIDE), own)


def test_borders_are_drawn_half_a_pixel_off_at_most() -> None:
    mask = np.zeros((20, 20), bool)
    mask[0:8, 0:8], mask[3:5, 3:5], mask[15, 15] = True, False, True
    lines = Region(mask, 0, "file").borders
    assert len(lines) == 3 and all(np.array_equal(line[0], line[-1]) for line in lines)
    outer = max(lines, key=lambda line: float(np.ptp(line)))
    assert outer.min() == 0 and outer.max() == 8


def test_the_same_picture_is_preserved_here_and_elsewhere() -> None:
    found = region_fidelity(scan(), scan(), LESION)
    assert found.verdict == "preserved" and not found.faint
    assert found.here == (1, 1, 1, pytest.approx(1), 0, 0, 0)
    assert found.elsewhere == found.here
    assert found.places == PLACES and found.pixels == LESION.sum()


def test_what_happened_here_is_told_from_what_happened_elsewhere() -> None:
    found = region_fidelity(scan(), scan(0.56), LESION)
    assert found.here.contrast == pytest.approx(0.53, abs=0.02) and found.elsewhere.contrast == pytest.approx(
        1, abs=0.1
    )
    assert found.here.edge is not None and found.here.edge < 0.6
    assert found.here.moved == pytest.approx(0.14, abs=0.001) and found.elsewhere.moved == 0
    assert found.here.ssim < 0.9 < 0.99 < found.elsewhere.ssim
    assert found.verdict == "blurred" and found.here.vanished == 0
    elsewhere = scan() + 0.3 * disc(64, 30, 5)
    found = region_fidelity(scan(), elsewhere, LESION)
    assert found.verdict == "preserved" and found.here.appeared == 0 < found.elsewhere.appeared


def test_a_lesion_in_a_region_drawn_widely_is_lost_all_the_same() -> None:
    found = region_fidelity(scan(0.6), scan(0.4), WIDE)
    assert found.verdict == "lost" and found.here.vanished >= LEAST_PIXELS
    assert region_fidelity(scan(0.4), scan(0.6), WIDE).verdict == "invented"


def test_a_blur_is_a_blur() -> None:
    blurred = ndimage.gaussian_filter(scan(0.55), (0, 1.2, 1.2))
    found = region_fidelity(scan(0.55), blurred, LESION)
    assert found.verdict == "blurred" and found.here.edge is not None and found.here.edge < 0.75


def test_a_region_that_stands_out_of_nothing_is_faint() -> None:
    assert region_fidelity(scan(0.4), scan(0.4), LESION).faint


def test_one_too_large_to_be_laid_elsewhere_has_no_such_figures() -> None:
    found = region_fidelity(scan(), scan(), disc(64, 64, 30))
    assert found.places == 0 and found.elsewhere[:3] == (None, None, None) and found.elsewhere.ssim == pytest.approx(1)


def test_colour_is_measured_as_grey() -> None:
    grey = region_fidelity(scan(), scan(0.6), LESION)
    colour = region_fidelity(np.repeat(scan(), 3, 0), np.repeat(scan(0.6), 3, 0), LESION)
    assert colour.here == pytest.approx(grey.here) and colour.verdict == grey.verdict


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (disc(64, 64, 1), "too small"),
        (disc(10, 10, 6), "outside the body"),
        (disc(64, 64, 50), "most of the picture"),
        (HEAD | True, "outside the body|most of the picture"),
    ],
)
def test_where_nothing_can_be_measured_is_said(region: np.ndarray, reason: str) -> None:
    with pytest.raises(RegionError, match=reason):
        region_fidelity(scan(), scan(), region)


def test_images_of_other_sizes_are_no_pair() -> None:
    with pytest.raises(ValueError, match="one size"):
        region_fidelity(scan(), scan()[:, 1:], LESION)


def test_the_models_own_region_reaches_half_of_the_largest_value() -> None:
    values = np.zeros((16, 16), np.float32)
    values[4:8, 4:8], values[10, 10] = 2.0, 0.4
    found = attributed(values, (256, 256), 3)
    assert (found.frame, found.source) == (3, "attribution")
    rows, columns = np.nonzero(found.mask)
    assert 60 <= rows.min() <= 68 and 124 <= rows.max() <= 132 and not found.mask[150:].any()
    assert abs(columns.mean() - 95.5) < 1
