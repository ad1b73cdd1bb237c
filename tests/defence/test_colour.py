"""What counts as a colour picture, on frames that lie just on either side of each limit.

The limits are written out here, so that a changed one is seen: 24 of 255 levels between the channels of a pixel, and
more than 10 % of the pixels for a scan to be in colour, 5 % for a colour picture to have any.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from core.defence.scope import is_colourful, wrong_kind

SCAN = SimpleNamespace(modality=None)


def bundle(channels: int) -> SimpleNamespace:
    return SimpleNamespace(channels=channels, title="Tiny", modalities=(), written_modality="OT")


def frame(coloured: int, levels: int = 255) -> np.ndarray:
    """(10, 20, 3) black, but for so many pixels of which one channel is so many of 255 levels brighter."""
    pixels = np.zeros((200, 3), np.float32)
    pixels[:coloured, 1] = levels / 255
    return pixels.reshape(10, 20, 3)


@pytest.mark.parametrize("levels,colourful", [(21, False), (23, False), (25, True), (27, True)])
def test_pixels_are_coloured_from_24_levels_between_their_channels(levels, colourful):
    assert is_colourful(frame(200, levels)) is colourful


@pytest.mark.parametrize("coloured,refused", [(17, False), (20, False), (21, True), (23, True)])
def test_a_scan_is_in_colour_from_a_tenth_of_its_pixels(coloured, refused):
    assert bool(wrong_kind(SCAN, frame(coloured), bundle(channels=1))) is refused


@pytest.mark.parametrize("coloured,refused", [(9, True), (10, True), (11, False), (12, False)])
def test_a_picture_is_grey_up_to_a_twentieth_of_its_pixels(coloured, refused):
    assert bool(wrong_kind(SCAN, frame(coloured), bundle(channels=3))) is refused


def test_the_sentence_says_which_kind_was_given_and_which_is_taken():
    assert "it is in colour, and “Tiny” takes grey scans only." in wrong_kind(SCAN, frame(200), bundle(channels=1))
    assert "it is grey, and “Tiny” takes colour pictures only." in wrong_kind(SCAN, frame(0), bundle(channels=3))


def test_a_frame_without_channels_has_no_colour():
    assert not is_colourful(np.ones((10, 20), np.float32))
    assert wrong_kind(SCAN, np.ones((10, 20), np.float32), bundle(channels=1)) is None
