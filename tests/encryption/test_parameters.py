"""Presets: what they claim, and what they refuse."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tenseal.sealapi as seal

from core.encryption.client import Client
from core.encryption.heads import Shape
from core.encryption.parameters import (
    MODULUS_LIMITS,
    PRESETS,
    check_preset,
    default_preset,
    find_preset,
)
from core.encryption.serialization import context_of
from core.encryption.timing import example_head, example_token

LEVELS = {128: seal.SEC_LEVEL_TYPE.TC128, 192: seal.SEC_LEVEL_TYPE.TC192, 256: seal.SEC_LEVEL_TYPE.TC256}


def test_the_standards_table_is_the_one_that_seal_holds():
    for degree, security in product(MODULUS_LIMITS, LEVELS):
        assert MODULUS_LIMITS[degree][security] == seal.CoeffModulus.MaxBitCount(degree, LEVELS[security])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_security_that_it_states(name):
    preset = PRESETS[name]
    data = context_of(name).key_context_data()
    assert data.total_coeff_modulus_bit_count() == preset.modulus_bits
    assert preset.security >= 128
    assert preset.modulus_bits <= seal.CoeffModulus.MaxBitCount(preset.degree, LEVELS[preset.security])


def test_security_is_read_off_the_table():
    assert {name: preset.security for name, preset in PRESETS.items()} == {
        "linear": 256,
        "polynomial": 192,
        "polynomial-fast": 128,
        "polynomial-strong": 256,
        "sum": 192,
    }


@pytest.mark.parametrize("name", ["linear", "polynomial", "polynomial-fast"])
def test_sizes_are_those_that_a_preset_states(name):
    preset, random = PRESETS[name], np.random.default_rng(0)
    head = example_head("linear" if preset.depth == 1 else "polynomial", random)
    with Client(preset, head.shape) as client:
        assert len(client.encrypt(example_token(random))) / 1000 == pytest.approx(preset.upload_kb, rel=0.03)
        assert len(client.context_bytes()) / 1000 == pytest.approx(preset.keys_kb, rel=0.03, abs=0.1)


def test_each_kind_of_head_has_a_preset_of_its_own():
    assert default_preset(Shape("linear", 3)).name == "linear"
    assert default_preset(Shape("linear", 8)).name == default_preset(Shape("polynomial", 3, 64)).name == "polynomial"
    with pytest.raises(ValueError, match="no head named 'cubic'; choose one of: linear, polynomial.$"):
        default_preset(Shape("cubic", 3))
    with pytest.raises(ValueError, match="may have up to 64 hidden units"):
        default_preset(Shape("polynomial", 3, 65))


def test_without_a_choice_a_head_gets_the_first_of_the_table_that_carries_it():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "encryption.md").read_text(encoding="utf-8")
    table, words = guide.split("## Parameters and their security")[1].split("\n## ")[0].split("Without", 1)
    assert words.startswith(" `--preset` a head gets the first of the table that carries it")
    assert re.findall(r"^\| `([a-z-]+)` \|.* \| \d+ \|", table, re.MULTILINE) == list(PRESETS)
    shapes = [Shape("linear", classes) for classes in (2, 4, 5, 9, 10, 20)] + [Shape("polynomial", 3, 64)]
    for shape in shapes:
        able = [preset for preset in PRESETS.values() if carries(preset, shape)]
        smallest = min(able, key=lambda preset: preset.upload_kb)
        assert default_preset(shape) == able[0] and (able[0] == smallest) == (shape.kind == "linear")


def carries(preset, shape):
    try:
        check_preset(preset, shape)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "name, shape, reason",
    [
        ("linear", Shape("polynomial", 2, 64), "a multiplicative depth of 1 .* needs 3; choose one of: polynomial, "),
        ("sum", Shape("linear", 2), "a multiplicative depth of 0 .* needs 1; choose one of: linear, "),
        ("linear", Shape("linear", 5), "up to 4 classes, not 5"),
        ("polynomial", Shape("polynomial", 2, 65), "up to 64 hidden units and 8 classes, not 65 and 2"),
        ("polynomial", Shape("polynomial", 9, 64), "up to 64 hidden units and 8 classes, not 64 and 9"),
    ],
)
def test_a_preset_that_cant_carry_a_head_is_refused_before_there_are_keys(name, shape, reason):
    for refuse in (check_preset, Client):
        with pytest.raises(ValueError, match=reason) as refusal:
            refuse(PRESETS[name], shape)
        assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_unknown_presets_are_refused_by_name():
    with pytest.raises(ValueError, match="no encryption preset named 'tiny'; choose one of: linear, polynomial"):
        find_preset("tiny")
