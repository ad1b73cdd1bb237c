"""Heads: their bytes, their logits, and what is refused as one."""

import io

import numpy as np
import pytest

from core.encryption.heads import Head, head_of
from core.encryption.timing import example_head


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


def compressed() -> bytes:
    """Return a file that is small, and large once it is unpacked."""
    file = io.BytesIO()
    np.savez_compressed(file, weight=np.zeros((1000, 768)), bias=np.ones(1000))
    return file.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 but no more", b"\x93NUMPY", bytes(1000), compressed()])
def test_bytes_that_hold_no_head_are_refused(data):
    with pytest.raises(ValueError, match="hold no head"):
        Head.from_bytes(data)


def test_a_classifier_without_a_token_has_no_head(bundle):
    with pytest.raises(ValueError, match="has no linear head on a token of 768 numbers; choose vit.$"):
        head_of(bundle.classifiers["resnet18"], "linear")
