"""Packed linear algebra: a head on one ciphertext.

Linear. The token x lies in the coefficients, x(X) = Σ x_i X^i. One plaintext holds all classes,
w(X) = Σ_c Σ_i w_ci X^(768 c + 767 - i), so that coefficient 768 c + 767 of x · w is the inner product of x and w_c
(Huang et al. 2022, section 3.1). One multiplication, no rotation, and no key for one.

Polynomial. Complex slots hold two columns each, x_i + i x_(512 + i), and the weights w_i - i w_(512 + i): the real part
of the product is what both contribute. Slot k holds column S ⌊k / 64⌋ + (k mod S) and belongs to hidden unit k mod 64,
so S shifts by one slot are enough for every unit to meet every column. The shifts are giant steps alone, by Horner's
rule with a single key (Halevi and Shoup 2014, section 4.3; baby steps would add their noise at the token's small
scale). Folding by 64, 128, … and adding the conjugate sums up each unit in all of its slots. After the square the last
layer needs no rotation either: the mean of all slots is coefficient 0, and weights of class c times ζ^c move it to
coefficient c. The answer stays three polynomials, which saves the relinearisation and its key.

An answer also shows coefficients that are zero by construction: an answer that isn't under the client's key has noise
there. Every other coefficient is hidden by a uniform mask, so that the client learns the logits and nothing else of the
weights but what the error of CKKS carries.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import tenseal.sealapi as seal

from core.encryption.encoding import GALOIS_GENERATOR, encode, exponents, slots_of
from core.encryption.heads import TOKEN_SIZE, Head, Shape
from core.encryption.parameters import MAX_CLASSES, MAX_HIDDEN, Preset, check_preset
from core.encryption.serialization import context_of, primes_of

PAIRS = 512
"""Complex columns of a token: its 768 numbers, a one for the biases, and zeros."""

TOKEN_NORM = 28.0
"""Longest token: √768 = 27.7 for one of unit variance."""

COARSE = 32.0
"""A polynomial head's logits come twice, once divided by this: where they disagree, the finer one left its range."""


class AnswerLayout(NamedTuple):
    """Coefficients of an answer: of the logits; of the logits divided by `COARSE` (or none); and of known zeros."""

    logits: np.ndarray
    coarse: np.ndarray
    zeros: np.ndarray


def answer_layout(preset: Preset, shape: Shape) -> AnswerLayout:
    """Return at which coefficients an answer's numbers lie."""
    classes = np.arange(shape.classes)
    if shape.kind == "linear":
        zeros = np.arange(TOKEN_SIZE * (shape.classes + 1), preset.degree)
        return AnswerLayout(TOKEN_SIZE * classes + TOKEN_SIZE - 1, classes[:0], zeros)
    # The squares repeat every 64 slots, so that all but one coefficient in so many are zero; class c fills c + these.
    apart = preset.degree // (2 * MAX_HIDDEN)
    return AnswerLayout(classes, MAX_CLASSES + classes, np.arange(2 * MAX_CLASSES, preset.degree, apart))


def rotations(preset: Preset, kind: str) -> list[int]:
    """Return the Galois elements of the keys that a kind of head needs: none where it is linear."""
    if kind == "linear":
        return []
    steps = [1, *_sum_steps(preset)]
    return [pow(GALOIS_GENERATOR, step, 2 * preset.degree) for step in steps] + [2 * preset.degree - 1]


def _sum_steps(preset: Preset) -> list[int]:
    return [MAX_HIDDEN << power for power in range((preset.slots // MAX_HIDDEN).bit_length() - 1)]


def token_slots(preset: Preset, shape: Shape, token: np.ndarray) -> np.ndarray:
    """Return the (N / 2,) complex slots of a (768,) token's plaintext.

    Raises
    ------
    ValueError
        Not 768 finite numbers, or longer than `TOKEN_NORM`; one sentence.
    """
    token = np.asarray(token, dtype=np.float64)
    if token.shape != (TOKEN_SIZE,) or not np.isfinite(token).all():
        raise ValueError(f"A token is {TOKEN_SIZE} finite numbers, not an array of shape {token.shape}.")
    if np.linalg.norm(token) > TOKEN_NORM:
        raise ValueError(f"The token's length is {np.linalg.norm(token):.1f}; scale it to {TOKEN_NORM:g} or less.")
    if shape.kind == "linear":
        return slots_of(np.pad(token, (0, preset.degree - TOKEN_SIZE)))
    return _pairs(np.append(token, 1.0)[None])[0, _columns(preset)]


def answer_scale(preset: Preset, shape: Shape) -> float:
    """Return what an answer's numbers are multiplied by: SEAL's own arithmetic, so that both agree to the last bit."""
    primes = primes_of(preset)
    scale = 2.0 ** (preset.token_bits + preset.weight_bits)
    if len(primes) > 1:
        scale /= primes[-1]
    return scale if shape.kind == "linear" else scale * scale * 2.0**preset.output_bits / primes[-2]


class PackedHead:
    """A head encoded for a preset, once for all tokens. Holds plaintexts alone, no key.

    Raises
    ------
    ValueError
        The preset can't carry the head, or its logits could leave the range that the answer holds; one sentence.
    """

    def __init__(self, preset: Preset, head: Head):
        check_preset(preset, head.shape)
        check_range(head)
        self._preset = preset
        self._context = context_of(preset.name)
        self._evaluator = seal.Evaluator(self._context)
        self._layout = answer_layout(preset, head.shape)
        self.elements = rotations(preset, head.kind)
        linear = head.kind == "linear"
        first = _linear_slots(preset, head)[None] if linear else _diagonals(preset, head)
        # SEAL refuses to multiply by nothing but zeros, as the result would be no secret.
        self._first = [encode(preset, slots, 2.0**preset.weight_bits) if slots.any() else None for slots in first]
        self._bias = head.weights[-1]
        self._output = None if linear else self._encoded_output(head)

    def answer(self, token: seal.Ciphertext, keys: Mapping[int, seal.GaloisKeys]) -> seal.Ciphertext:
        """Return the encrypted logits of an encrypted token; `keys` by Galois element, one for each of `rotations`."""
        result = self._first_layer(token, keys)
        if result.coeff_modulus_size() > 1:
            self._evaluator.rescale_to_next_inplace(result)
        if self._output is not None:
            self._evaluator.square_inplace(result)
            self._evaluator.multiply_plain_inplace(result, self._output)
            self._evaluator.rescale_to_next_inplace(result)
        self._evaluator.mod_switch_to_inplace(result, self._context.last_parms_id())
        for slots in self._masks(result.scale):
            mask = encode(self._preset, slots, result.scale, result.parms_id())
            self._evaluator.add_plain_inplace(result, mask)
        return result

    def _first_layer(self, token: seal.Ciphertext, keys: Mapping[int, seal.GaloisKeys]) -> seal.Ciphertext:
        total = None
        for diagonal in reversed(self._first):
            if total is not None:
                self._evaluator.apply_galois_inplace(total, self.elements[0], keys[self.elements[0]])
            if diagonal is not None:
                part = seal.Ciphertext()
                self._evaluator.multiply_plain(token, diagonal, part)
                total = part if total is None else self._sum(total, part)
        for element in self.elements[1:]:
            part = seal.Ciphertext()
            self._evaluator.apply_galois(total, element, keys[element], part)
            total = self._sum(total, part)
        return total

    def _sum(self, total: seal.Ciphertext, part: seal.Ciphertext) -> seal.Ciphertext:
        self._evaluator.add_inplace(total, part)
        return total

    def _encoded_output(self, head: Head) -> seal.Plaintext:
        level = self._context.first_context_data().next_context_data().parms_id()
        return encode(self._preset, _output_slots(self._preset, head), 2.0**self._preset.output_bits, level)

    def _masks(self, scale: float) -> list[np.ndarray]:
        """Return slots of the mask that hides the weights: two halves that add up to uniform coefficients.

        Uniform modulo the last prime, that is. SEAL encodes coefficients below a quarter of the modulus, so one
        plaintext alone can't be uniform. The first half also carries the biases.
        """
        quarter = primes_of(self._preset)[0] // 4
        fine = np.frombuffer(os.urandom(8 * self._preset.degree), dtype=np.int64) % (2 * quarter) - quarter
        sign = np.frombuffer(os.urandom(self._preset.degree), dtype=np.uint8) % 2 * 2.0 - 1.0
        first, second = fine / scale, sign * quarter / scale
        for part in (first, second):
            part[np.concatenate(self._layout)] = 0.0
        first[self._layout.logits] = self._bias
        if len(self._layout.coarse):
            first[self._layout.coarse] = self._bias / COARSE
        return [slots_of(first), slots_of(second)]


def check_range(head: Head) -> None:
    """Raise ValueError, one sentence, where a linear head's logits could leave an answer's range (Cauchy-Schwarz)."""
    if head.kind != "linear":
        return
    largest = float(np.max(np.linalg.norm(head.weights[0], axis=1) * TOKEN_NORM + np.abs(head.weights[1])))
    if largest > 250.0:
        raise ValueError(f"This head's logits could reach {largest:.0f}, and an answer holds 250; scale the head down.")


def _linear_slots(preset: Preset, head: Head) -> np.ndarray:
    coefficients = np.zeros(preset.degree)
    # Class by class, each backwards, so that the product has their inner products at the end of each run.
    coefficients[: head.weights[0].size] = head.weights[0][:, ::-1].ravel()
    return slots_of(coefficients)


def _pairs(rows: np.ndarray) -> np.ndarray:
    """Return (R, up to 1024) real columns as (R, 512) complex ones."""
    padded = np.pad(rows, ((0, 0), (0, 2 * PAIRS - rows.shape[1])))
    return padded[:, :PAIRS] + 1j * padded[:, PAIRS:]


@cache
def _columns(preset: Preset) -> np.ndarray:
    """Return (N / 2,) which complex column lies in each slot."""
    slots, diagonals = np.arange(preset.slots), _diagonal_count(preset)
    return diagonals * (slots // MAX_HIDDEN) + slots % diagonals


def _diagonal_count(preset: Preset) -> int:
    return MAX_HIDDEN * PAIRS // preset.slots


def _row_lengths(head: Head) -> np.ndarray:
    """Return (H,) lengths of the hidden rows with their biases: rows of length one are all equally precise."""
    rows = np.column_stack(head.weights[:2])
    lengths = np.linalg.norm(rows, axis=1)
    return np.where(lengths > 0, lengths, 1.0)


def _diagonals(preset: Preset, head: Head) -> np.ndarray:
    """Return (S, N / 2): the factor of the token's slot k before it moves g slots down, for g = 0, …, S - 1."""
    rows = np.column_stack(head.weights[:2]) / _row_lengths(head)[:, None] / 2  # the conjugate doubles the real part
    weights = np.conj(np.pad(_pairs(rows), ((0, MAX_HIDDEN - len(rows)), (0, 0))))
    slots, shifts = np.arange(preset.slots), np.arange(_diagonal_count(preset))
    return weights[(slots - shifts[:, None]) % MAX_HIDDEN, _columns(preset)]


def _output_slots(preset: Preset, head: Head) -> np.ndarray:
    """Return (N / 2,) weights of the last layer, every class turned to its coefficient, and their coarse copies."""
    weights = head.weights[2] * _row_lengths(head) ** 2 * MAX_HIDDEN
    weights = np.pad(weights, ((0, 0), (0, MAX_HIDDEN - weights.shape[1])))
    layout = answer_layout(preset, head.shape)
    units = np.arange(preset.slots) % MAX_HIDDEN
    angles = np.pi / preset.degree * exponents(preset.degree)
    return sum(
        row[units] * (np.exp(1j * fine * angles) + np.exp(1j * coarse * angles) / COARSE)
        for row, fine, coarse in zip(weights, layout.logits, layout.coarse)
    )
