"""Presets: what they claim, and what they refuse."""

from itertools import product

import numpy as np
import pytest
import tenseal.sealapi as seal

from core.encryption.client import Client
from core.encryption.heads import Head, Shape, head_of
from core.encryption.parameters import (
    MODULUS_LIMITS,
    PRESETS,
    check_preset,
    default_preset,
    find_preset,
)
from core.encryption.sealed import context_of
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


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_a_head_survives_its_bytes(kind):
    head = example_head(kind, np.random.default_rng(0))
    again = Head.from_bytes(head.to_bytes())
    assert again.kind == kind and all((a == b).all() for a, b in zip(again.weights, head.weights))


def test_logits_are_solved_by_hand():
    weights, token = np.zeros((1, 768)), np.zeros(768)
    weights[0, 3], token[3] = 2, 1.5
    assert Head("linear", (weights, np.array([1.0]))).logits(token).tolist() == [4]
    output = np.array([[0.5], [-1]])
    # (2 · 1.5 + 1)² = 16
    assert Head("polynomial", (weights, np.array([1.0]), output, np.array([0, 3.0]))).logits(token).tolist() == [8, -13]


@pytest.mark.parametrize(
    "kind, weights, reason",
    [
        ("cubic", (), "no head named 'cubic'"),
        ("linear", (np.ones((2, 767)), np.ones(2)), "don't fit together"),
        ("linear", (np.ones((2, 768)), np.ones(3)), "don't fit together"),
        ("polynomial", (np.ones((4, 768)), np.ones(4), np.ones((2, 5)), np.ones(2)), "don't fit together"),
        ("linear", (np.full((2, 768), np.inf), np.ones(2)), "not finite"),
        ("linear", (np.zeros((2, 768)), np.ones(2)), "nothing but zeros"),
    ],
)
def test_what_is_no_head_is_refused_in_one_sentence(kind, weights, reason):
    with pytest.raises(ValueError, match=reason):
        Head(kind, weights)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 but no more", b"\x93NUMPY", bytes(1000)])
def test_bytes_that_hold_no_head_are_refused(data):
    with pytest.raises(ValueError, match="hold no head"):
        Head.from_bytes(data)


def test_a_classifier_without_a_token_has_no_head(bundle):
    with pytest.raises(ValueError, match="has no linear head on a token of 768 numbers; choose vit.$"):
        head_of(bundle.classifiers["resnet18"], "linear")
