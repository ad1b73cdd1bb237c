import math

import pytest
import torch

from core.faults import FORMATS, bits_of, flip_bit, flipped_value
from core.faults.bits import flipped_values


@pytest.mark.parametrize(
    "value, bit, form, expected",
    [
        (1.0, 31, "float32", -1.0),
        (1.0, 30, "float32", math.inf),  # 0x3F800000 → 0x7F800000
        (0.5, 30, "float32", 2.0**127),  # exponent 126 → 254
        (1.0, 23, "float32", 0.5),  # exponent 127 → 126
        (1.0, 22, "float32", 1.5),
        (1.0, 0, "float32", 1 + 2.0**-23),
        (0.0, 0, "float32", 2.0**-149),
        (1.0, 15, "bfloat16", -1.0),
        (1.0, 14, "bfloat16", math.inf),
        (1.0, 7, "bfloat16", 0.5),
        (1.0, 6, "bfloat16", 1.5),
        (1.0, 0, "bfloat16", 1 + 2.0**-7),
        (1 + 2.0**-9, 0, "bfloat16", 1 + 2.0**-7),  # rounded to 1 first
    ],
)
def test_flips_solved_by_hand(value, bit, form, expected):
    assert flipped_value(value, bit, form) == expected


def test_a_flip_can_make_nan_and_take_it_back():
    values = torch.tensor([1.5])
    flip_bit(values, 0, 30)
    assert values.isnan().all()
    flip_bit(values, 0, 30)
    assert values.item() == 1.5


@pytest.mark.parametrize("form", FORMATS)
def test_every_flip_of_every_value_is_undone_bit_by_bit(form):
    start = torch.tensor([0.0, -0.0, 1.0, -3.5, 2.0**-133, 2.0**127, math.inf, -math.inf, math.nan])
    for bit in range(FORMATS[form].bits):
        values = start.clone()
        for _ in range(2):
            flip_bit(values, torch.arange(len(start)), bit, form)
        assert torch.equal(values.view(torch.int32), start.view(torch.int32)), bit


def test_bits_are_told_lowest_first_with_their_fields():
    assert [bit for bit, is_set in enumerate(bits_of(1.0)) if is_set] == list(range(23, 30))
    assert [bit for bit, is_set in enumerate(bits_of(-2.0, "bfloat16")) if is_set] == [14, 15]
    single = [FORMATS["float32"].field(bit) for bit in (0, 22, 23, 30, 31)]
    assert single == ["mantissa", "mantissa", "exponent", "exponent", "sign"]
    assert [FORMATS["bfloat16"].field(bit) for bit in (6, 7, 14, 15)] == ["mantissa", "exponent", "exponent", "sign"]


def test_indices_count_in_row_major_order_whatever_the_memory_layout():
    values = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last)
    flip_bit(values, torch.tensor([5, 23]), 31)
    expected = torch.arange(24.0)
    expected[[5, 23]] *= -1
    assert torch.equal(values.reshape(-1), expected)


def test_several_bits_of_one_element_all_flip_and_the_same_bit_twice_does_not():
    values = torch.tensor([1.0, 1.0])
    flip_bit(values, torch.tensor([0, 0, 1, 1]), torch.tensor([31, 22, 30, 30]))
    assert values.tolist() == [-1.5, 1.0]


def test_a_bfloat16_tensor_is_flipped_in_place():
    values = torch.tensor([1.0, 3.0], dtype=torch.bfloat16)
    flip_bit(values, 1, 15, "bfloat16")
    assert values.tolist() == [1.0, -3.0] and values.dtype == torch.bfloat16


@pytest.mark.parametrize("form", FORMATS)
def test_all_flips_at_once_are_the_single_flips(form):
    table = flipped_values(torch.tensor([0.3, -7.0]), form)
    assert table.shape == (2, FORMATS[form].bits)
    for row, value in zip(table.tolist(), (0.3, -7.0)):
        expected = [flipped_value(value, bit, form) for bit in range(FORMATS[form].bits)]
        assert row == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "index, bit, form, reason",
    [
        (0, 40, "float32", "no bit 40; choose one from 0 to 31"),
        (0, 16, "bfloat16", "no bit 16; choose one from 0 to 15"),
        (0, -1, "float32", "no bit -1"),
        (2, 0, "float32", "no element 2 among 2"),
        (-1, 0, "float32", "no element -1 among 2"),
        (0, 0, "float8", "no number format named 'float8'"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(index, bit, form, reason):
    values = torch.ones(2)
    with pytest.raises(ValueError, match=f"{reason}.*\\.$"):
        flip_bit(values, index, bit, form)
    assert values.tolist() == [1.0, 1.0]


def test_float32_bits_of_a_bfloat16_tensor_are_refused():
    with pytest.raises(ValueError, match="widen it to float32"):
        flip_bit(torch.ones(2, dtype=torch.bfloat16), 0, 0)
