import numpy as np
import pytest

from core.fidelity.outline import circle, ringed


def test_a_circle_by_hand():
    made = circle(4, 0.5, 0.5, 0.3)  # the centres of the four pixels in the middle are .177 away, their neighbours .395
    assert made.tolist() == np.pad(np.ones((2, 2), bool), 1).tolist()
    across = circle(10, 0.85, 0.15, 0.01)
    assert across.sum() == 1 and across[1, 8]


def test_the_pixel_of_the_centre_is_always_in_it():
    assert circle(4, 1, 1, 0.001)[3, 3] and circle(4, 0, 0, 0.001).sum() == 1


@pytest.mark.parametrize(("words", "match"), [((1.1, 0.5, 0.1), "centre"), ((0.5, 0.5, 0), "radius")])
def test_bad_circles(words, match):
    with pytest.raises(ValueError, match=match):
        circle(4, *words)


def test_the_ring_is_white_and_has_no_map():
    outline = np.zeros((3, 3), bool)
    outline[1, 1] = True
    pixels, values = ringed(np.full((1, 3, 3), 0.5, np.float32), np.full((3, 3), 2.0, np.float32), outline)
    assert pixels[0].tolist() == [[0.5, 1, 0.5], [1, 0.5, 1], [0.5, 1, 0.5]]
    assert values.tolist() == [[2, 0, 2], [0, 2, 0], [2, 0, 2]]
