"""Numbers as polynomials: CKKS's slots, and the coefficients themselves.

A plaintext is a real polynomial p of degree below N. Its slots are its values at N / 2 of the roots of X^N + 1 (Cheon
et al. 2017, section 3.1), and products act slot by slot. Its coefficients can hold numbers as well: then a product is a
negacyclic convolution, which contains inner products (Huang et al. 2022, section 3.1), and sums act as before. SEAL
encodes slots alone; the two functions here go from the one to the other.
"""

from functools import cache

import numpy as np
import tenseal.sealapi as seal

from core.encryption.parameters import Preset
from core.encryption.serialization import context_of

GALOIS_GENERATOR = 3
"""SEAL's slot j is the value at ζ^(3^j), ζ = exp(πi / N); rotating by k steps is the Galois element 3^k mod 2N."""


@cache
def encoder_of(name: str) -> seal.CKKSEncoder:
    """Return SEAL's encoder of a preset."""
    return seal.CKKSEncoder(context_of(name))


@cache
def exponents(degree: int) -> np.ndarray:
    """Return (N / 2,) odd integers e below 2N: slot j is the value at ζ^e[j]."""
    powers = np.ones(degree // 2, dtype=np.int64)
    for index in range(1, len(powers)):
        powers[index] = powers[index - 1] * GALOIS_GENERATOR % (2 * degree)
    return powers


@cache
def _twist(degree: int) -> np.ndarray:
    return np.exp(1j * np.pi * np.arange(degree) / degree)


def slots_of(coefficients: np.ndarray) -> np.ndarray:
    """Return the (N / 2,) complex slots of (N,) real coefficients."""
    degree = len(coefficients)
    values = np.fft.ifft(coefficients * _twist(degree)) * degree
    return values[(exponents(degree) - 1) // 2]


def coefficients_of(slots: np.ndarray) -> np.ndarray:
    """Return the (N,) real coefficients of (N / 2,) complex slots; the inverse of `slots_of`."""
    degree = 2 * len(slots)
    values = np.empty(degree, dtype=np.complex128)
    values[(exponents(degree) - 1) // 2] = slots
    values[(2 * degree - exponents(degree) - 1) // 2] = np.conj(slots)
    return (np.fft.fft(values) / degree / _twist(degree)).real


def encode(preset: Preset, slots: np.ndarray, scale: float, level: list[int] | None = None) -> seal.Plaintext:
    """Return (N / 2,) slots times `scale` as a plaintext, at a level of the modulus (default: of fresh ciphertexts)."""
    plaintext = seal.Plaintext()
    level = context_of(preset.name).first_parms_id() if level is None else level
    encoder_of(preset.name).encode(slots.astype(np.complex128).tolist(), level, scale, plaintext)
    return plaintext


def decode(preset: Preset, plaintext: seal.Plaintext) -> np.ndarray:
    """Return the (N / 2,) complex slots of a plaintext, divided by its scale."""
    return np.array(encoder_of(preset.name).decode_complex(plaintext))
