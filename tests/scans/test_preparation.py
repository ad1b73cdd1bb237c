import numpy as np

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
