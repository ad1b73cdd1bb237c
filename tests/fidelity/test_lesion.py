"""Lesions painted by hand, and what a purifier might do to them."""

import math

import numpy as np
import pytest
from scipy import ndimage

from core.fidelity.lesion import Lesion, contrast_change, invented_regions, lesion, verdict
from core.fidelity.lesion_summary import lesion_summary

SIDE = 96
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def disc(row: int, column: int, radius: float) -> np.ndarray:
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


HEAD, OUTLINE = disc(48, 48, 42), disc(48, 60, 8)


def scan(inside: float = 0.7) -> np.ndarray:
    """A head of 0.4 in black air, and a lesion in it."""
    return np.where(OUTLINE, inside, np.where(HEAD, 0.4, 0.0))[None]


def test_contrast_by_hand_and_the_same_scan_is_preserved() -> None:
    same = lesion(scan(), scan(), OUTLINE)
    assert (same.contrast_before, same.contrast_after) == pytest.approx((0.3, 0.3))
    assert same.difference_before == pytest.approx(0.3)
    assert same.cnr_before == math.inf
    assert (same.dice, same.invented_pixels, same.verdict) == (1.0, 0, "preserved")
    assert same.contrast_change == 0


def test_a_dark_lesion_has_a_contrast_and_a_negative_difference() -> None:
    dark = lesion(scan(0.15), scan(0.2), OUTLINE)
    assert (dark.contrast_before, dark.contrast_after) == pytest.approx((0.25, 0.2))
    assert dark.difference_before == pytest.approx(-0.25)
    assert dark.verdict == "blurred"


def test_the_air_is_no_part_of_the_ring() -> None:
    at_the_edge = disc(48, 86, 5)
    image = np.where(at_the_edge, 0.7, np.where(HEAD, 0.4, 0.0))[None]
    assert lesion(image, image, at_the_edge).contrast_before == pytest.approx(0.3)


def test_contrast_to_noise_by_hand() -> None:
    checks = np.where((ROWS + COLUMNS) % 2, 0.05, -0.05) * ~OUTLINE
    found = lesion(scan() + checks, scan() + 2 * checks, OUTLINE)
    assert found.cnr_before == pytest.approx(6, rel=0.01)  # 0.3 / 0.05
    assert found.cnr_after == pytest.approx(3, rel=0.02)


def test_edge_sharpness_of_a_step_by_hand() -> None:
    outline = COLUMNS >= 48
    step = np.where(outline, 0.7, 0.4)[None]
    found = lesion(step, np.where(outline, 0.7, 0.5)[None], outline)
    assert found.edge_before == pytest.approx(0.15)  # central differences see half of the step on both sides of it
    assert found.edge_after == pytest.approx(0.1)


def test_dice_by_hand() -> None:
    smaller = scan() * ~(OUTLINE & (COLUMNS < 60)) + 0.4 * (OUTLINE & (COLUMNS < 60))
    left, right = (OUTLINE & (COLUMNS >= 60)).sum(), OUTLINE.sum()
    found = lesion(scan(), smaller, OUTLINE)
    assert found.dice == pytest.approx(2 * left / (left + right))
    assert (found.size_before, found.size_after) == (right, left)


def test_a_piece_apart_from_the_outline_is_not_segmented() -> None:
    assert lesion(scan(), scan() + 0.3 * disc(48, 72, 1), OUTLINE).dice == 1


def test_a_brighter_core_was_not_invented_outside() -> None:
    core = disc(48, 60, 4)
    brighter = scan() + 0.2 * core - 0.05 * (OUTLINE & ~core)
    assert invented_regions(scan(), brighter).any()
    found = lesion(scan(), brighter, OUTLINE)
    assert (found.invented_pixels, found.verdict) == (0, "preserved")


def test_a_bright_and_a_dark_half_do_not_cancel() -> None:
    outline = (np.abs(ROWS - 48) < 8) & (COLUMNS >= 40) & (COLUMNS < 56)
    halves = np.where(COLUMNS < 48, 0.6, 0.2)
    found = lesion(np.where(outline, halves, scan(0.4)), scan(0.4), outline)
    assert found.difference_before == pytest.approx(0)
    assert found.contrast_before == pytest.approx(0.2)
    assert found.contrast_after == pytest.approx(0)
    assert found.verdict == "lost"


def test_taking_noise_away_costs_neither_contrast_nor_sharpness() -> None:
    noisy = scan() + np.random.default_rng(0).normal(0, 0.04, (1, SIDE, SIDE))
    found = lesion(noisy, scan(), OUTLINE)
    assert found.contrast_after == pytest.approx(found.contrast_before, rel=0.04)
    assert found.edge_after == pytest.approx(found.edge_before, rel=0.1)
    assert found.cnr_before < 10 and found.cnr_after == math.inf
    assert found.verdict == "preserved"


def test_noise_makes_no_border_sharper() -> None:
    noise = np.random.default_rng(0).normal(0, 0.03, (8, 1, SIDE, SIDE))
    faint = [lesion(scan(0.44) + each, scan(0.44), OUTLINE) for each in noise]
    assert np.mean([found.edge_before for found in faint]) == pytest.approx(faint[0].edge_after, rel=0.07)


def test_a_blur_a_blob_and_a_removal() -> None:
    blurred = ndimage.gaussian_filter(scan(), (0, 2, 2))
    assert lesion(scan(), blurred, OUTLINE).verdict == "blurred"
    blob = scan() + 0.3 * disc(48, 30, 4)
    found = lesion(scan(), blob, OUTLINE)
    assert found.verdict == "invented" and found.invented_pixels >= 12
    assert found.contrast_after == found.contrast_before
    assert lesion(scan(), scan(0.4), OUTLINE).verdict == "lost"
    assert lesion(scan(), scan(0.8), OUTLINE).verdict == "invented"


@pytest.mark.parametrize(
    ("change", "edge", "dice", "pixels", "word"),
    [
        (0.0, 1.0, 1.0, 0, "preserved"),
        (-0.09, 0.76, 0.81, 0, "preserved"),
        (-0.11, 1.0, 1.0, 0, "blurred"),
        (0.0, 0.74, 1.0, 0, "blurred"),
        (0.0, 1.0, 0.79, 0, "blurred"),
        (0.11, 1.0, 1.0, 0, "invented"),
        (-0.2, 0.5, 0.5, 12, "invented"),
        (-0.51, 0.5, 0.5, 12, "lost"),
    ],
)
def test_the_rule(change: float, edge: float, dice: float, pixels: int, word: str) -> None:
    assert verdict(change, (1.0, edge), dice, pixels) == word


def test_a_faint_lesion_is_judged_by_an_absolute_change() -> None:
    assert contrast_change(0.3, 0.27) == pytest.approx(-0.1)
    assert contrast_change(0.01, 0.008) == pytest.approx(-0.002 / 0.03)
    assert lesion(scan(0.41), scan(0.408), OUTLINE).verdict == "preserved"


def test_what_appeared_is_numbered_and_what_faded_is_not() -> None:
    plain = scan(0.4)
    two = plain + 0.3 * disc(48, 30, 4) - 0.3 * disc(48, 66, 4)
    regions = invented_regions(plain, two)
    assert sorted(np.unique(regions)) == [0, 1, 2]
    assert regions[48, 30] and regions[48, 66] and regions[48, 30] != regions[48, 66]
    assert not regions[~disc(48, 30, 8) & ~disc(48, 66, 8)].any()
    assert not invented_regions(two, plain).any()
    assert not invented_regions(plain, plain + 0.22 * disc(48, 30, 2)).any()  # strong enough, but too small


def test_beside_what_faded_nothing_is_new() -> None:
    faint = scan(0.4) + 0.1 * disc(48, 48, 4)
    ring = disc(48, 48, 16) & ~disc(48, 48, 9)
    assert not invented_regions(faint + 0.4 * ring, faint).any()
    in_the_air = scan(0.4) + 0.5 * (disc(48, 48, 47) & ~disc(48, 48, 44))
    assert not invented_regions(in_the_air, scan(0.4)).any()


def test_colour_is_measured_as_grey() -> None:
    found = lesion(np.repeat(scan(), 3, 0), np.repeat(scan(0.6), 3, 0), OUTLINE)
    assert (found.contrast_before, found.contrast_after) == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    ("after", "outline", "reason"),
    [
        (scan()[:, 1:], OUTLINE, "one shape"),
        (scan(), OUTLINE[1:], "one shape"),
        (scan(), OUTLINE & False, "empty"),
        (scan(), OUTLINE | True, "surrounds"),
    ],
)
def test_what_cannot_be_measured_is_said(after: np.ndarray, outline: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        lesion(scan(), after, outline)


def measured(before: float, after: float, word: str, difference: float | None = None) -> Lesion:
    difference = before if difference is None else difference
    return Lesion(before, after, difference, difference * after / before, 1, 1, 0.2, 0.1, 100, 90, 0.9, 0, word)


def test_a_summary_by_hand() -> None:
    lesions = [
        measured(0.2, 0.19, "preserved"),
        measured(0.2, 0.17, "blurred"),
        measured(0.2, 0.2, "preserved", -0.1),
        measured(0.2, 0.05, "lost"),
    ]
    found = lesion_summary(lesions, ["a", "b", "c", "d"])
    assert (found["n"], found["contrast_kept"], found["difference_kept"]) == (4, 0.5, 0.5)
    assert found["contrast_ratio"] == pytest.approx(0.9)
    assert (found["edge_ratio"], found["dice"]) == (0.5, 0.9)
    assert found["verdicts"] == {"preserved": 0.5, "blurred": 0.25, "invented": 0.0, "lost": 0.25}
    low, high = found["contrast_kept_interval"]
    assert low < 0.5 < high
    assert lesion_summary(lesions, ["a"] * 4)["contrast_kept_interval"] == [0.5, 0.5]
    assert lesion_summary([], [])["n"] == 0 and lesion_summary([], [])["contrast_kept"] is None
    with pytest.raises(ValueError, match="group"):
        lesion_summary(lesions, ["a"])
