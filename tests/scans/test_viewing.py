"""What a viewer is given: the same grey levels as the models see, whatever the values."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from core import Scan, Window, load_scan
from core.scans import viewing
from core.scans.memory.scaled import Scaled
from core.scans.viewing import viewer_volume, viewer_window
from core.scans.windowing import Lut

KINDS = [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.float32, np.float64]


@pytest.fixture(scope="module")
def sample(sample_files: list[Path]) -> Scan:
    return load_scan(sample_files[0])


def scan_of(sample: Scan, values: np.ndarray, window: Window, **changes: object) -> Scan:
    return replace(sample, values=values, windows=(window,), exact=False, **changes)  # type: ignore[arg-type]


def shown(scan: Scan, frame: int, window: Window | None = None) -> np.ndarray:
    """Brightness in [0, 1] as the viewer's own arithmetic has it."""
    volume, own = viewer_volume(scan), viewer_window(scan, window, frame)
    stored = np.frombuffer(volume.data, np.dtype(volume.dtype).newbyteorder("<")).reshape(volume.shape)[frame]
    share = (stored * volume.slope + volume.intercept - own["low"]) / (own["high"] - own["low"])
    if "table" in own:
        share = np.array(own["table"])[np.rint(np.clip(share, 0, 1) * (len(own["table"]) - 1)).astype(int)]
    return np.clip(1 - share if scan.inverted else share, 0, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_grey_levels_are_those_of_the_frame(sample, kind, function):
    values = np.random.default_rng(0).uniform(0, 120, (3, 20, 30)).astype(kind)
    scan = scan_of(sample, values, Window(50.0, 80.0, "Own", function))
    assert np.abs(shown(scan, 1) - scan.frame(1)).max() < 1 / 255


def test_a_lookup_table_and_inverted_scans(sample):
    values = np.arange(600, dtype=np.int16).reshape(1, 20, 30)
    lut = Lut(100, np.linspace(0, 255, 300).astype(np.uint8) ** 1, 8)
    scan = scan_of(sample, values, Window(300.0, 600.0, "All"), voi_lut=lut, inverted=True)
    assert np.abs(shown(scan, 0) - scan.frame(0)).max() < 2 / 255
    assert np.abs(shown(scan, 0, scan.windows[0]) - scan.frame(0, scan.windows[0])).max() < 1 / 255


def test_each_frame_has_its_own_window(sample):
    windows = (Window(10.0, 20.0, "First"), Window(60.0, 40.0, "Second"))
    scan = scan_of(sample, np.full((2, 4, 4), 50, np.int16), windows[0], frame_windows=windows)
    assert [viewer_window(scan, None, frame)["name"] for frame in (0, 1)] == ["First", "Second"]


def test_a_constant_scan_and_one_of_wide_integers(sample):
    for values in (np.full((1, 4, 4), 7.5), np.array([[[-(2**31), 2**31 - 1]]], np.int64)):
        volume = viewer_volume(scan_of(sample, values, Window(0.0, 1.0, "Any")))
        stored = np.frombuffer(volume.data, volume.dtype) * volume.slope + volume.intercept
        assert np.allclose(stored, values.ravel(), atol=volume.slope)


def test_large_scans_are_thinned_out_in_the_plane(sample, monkeypatch):
    monkeypatch.setattr(viewing, "MOST_BYTES", 2 * 5 * 100)
    scan = scan_of(sample, np.zeros((5, 20, 30), np.int16), Window(0.0, 1.0, "Any"), spacing=(3.0, 0.5, 0.5))
    volume = viewer_volume(scan)
    assert (volume.reduction, volume.shape, volume.spacing) == (3, (5, 7, 10), (3.0, 1.5, 1.5))


def test_what_needs_no_change_is_not_held_twice(sample):
    values = np.random.default_rng(0).integers(0, 900, (3, 20, 30)).astype(np.int16)
    volume = viewer_volume(scan_of(sample, values, Window(0.0, 1.0, "Any")))
    assert np.shares_memory(np.frombuffer(volume.data, np.uint8), values) and volume.data == values.tobytes()
    assert volume.digest == sha256(values.tobytes()).hexdigest()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("slope", [0.25, -0.25])
@pytest.mark.parametrize("alike", [True, False])
def test_fractions_are_sent_as_integers_where_one_line_makes_them(sample, kind, slope, alike):
    stored = np.random.default_rng(0).integers(0, 250, (3, 20, 30)).astype(kind)
    lines = [(slope, 7.0)] * 3 if alike else [(slope, 7.0), (1.0, 0.0), (2 * slope, -3.0)]
    scan = scan_of(sample, Scaled(stored, lines), Window(20.0, 50.0, "Own"))
    volume = viewer_volume(scan)
    assert np.shares_memory(np.frombuffer(volume.data, np.uint8), stored) == alike
    values = np.asarray(scan.values)
    assert volume.value_range == (values.min(), values.max())
    for frame in range(3):
        assert np.abs(shown(scan, frame) - scan.frame(frame)).max() < 1 / 255


def test_large_fractions_are_thinned_out(sample, monkeypatch):
    monkeypatch.setattr(viewing, "MOST_BYTES", 2 * 2 * 150)
    stored = np.random.default_rng(0).integers(0, 900, (2, 20, 30)).astype(np.int16)
    for lines in ([(0.5, 0.0)] * 2, [(0.5, 0.0), (-0.1, 2.0)]):
        values = Scaled(stored, lines)
        volume = viewer_volume(scan_of(sample, values, Window(0.0, 1.0, "Any")))
        sent = np.frombuffer(volume.data, volume.dtype).reshape(volume.shape) * volume.slope + volume.intercept
        assert volume.reduction == 2 and np.allclose(sent, values[:, ::2, ::2], atol=volume.slope)


def test_colour_comes_as_it_is(sample):
    values = np.random.default_rng(0).integers(0, 256, (1, 6, 5, 3), dtype=np.uint8)
    scan = replace(sample, values=values, windows=())
    volume = viewer_volume(scan)
    assert (volume.channels, volume.shape, volume.data) == (3, (1, 6, 5), values.tobytes())
    assert viewer_window(scan, None, 0)["name"] == "Colour"
