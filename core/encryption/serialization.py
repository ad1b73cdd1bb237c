"""SEAL's objects and bytes: contexts, keys and ciphertexts, saved, loaded, and checked before they are used."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import tenseal.sealapi as seal

from core.encryption.parameters import PRESETS, Preset

MAGIC = 0xA15E  # SEAL 4 manual, Serialization::SEALHeader
HEADER_BYTES = 16


@cache
def context_of(name: str) -> seal.SEALContext:
    """Return SEAL's context of a preset, one for the whole process: it holds tables and no keys.

    SEAL itself is asked for at least 128 bits of security, so a preset that had less would not become a context.
    """
    preset = PRESETS[name]
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(preset.degree)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(preset.degree, list(preset.prime_bits)))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    assert context.parameters_set(), context.parameters_error_message()
    return context


def primes_of(preset: Preset) -> list[int]:
    """Return the primes of a preset's modulus that ciphertexts carry."""
    data = context_of(preset.name).first_context_data()
    return [modulus.value() for modulus in data.parms().coeff_modulus()]


def to_bytes(value: Any) -> bytes:
    """Return what SEAL saves of a ciphertext or of keys, compressed by SEAL."""
    with _scratch_path() as path:
        value.save(path)
        return Path(path).read_bytes()


def ciphertext_from(preset: Preset, data: bytes) -> seal.Ciphertext:
    """Return a ciphertext of the preset; raise ValueError, one sentence, where the bytes hold none."""
    ciphertext = seal.Ciphertext()
    _load(ciphertext, preset, data, "ciphertext")
    return ciphertext


def fresh_ciphertext_from(preset: Preset, data: bytes) -> seal.Ciphertext:
    """Return a ciphertext as a client of the preset encrypts it: fresh, two polynomials, the preset's own scale.

    Raises
    ------
    ValueError
        The bytes hold no ciphertext of the preset, or one that isn't fresh; one sentence.
    """
    ciphertext = ciphertext_from(preset, data)
    fresh = ciphertext.parms_id() == context_of(preset.name).first_parms_id()
    if not fresh or ciphertext.size() != 2 or ciphertext.scale != 2.0**preset.token_bits:
        raise ValueError(f"This is not a fresh ciphertext of the preset {preset.name}; encrypt the token again.")
    return ciphertext


def rotation_key_from(preset: Preset, data: bytes, element: int) -> seal.GaloisKeys:
    """Return the rotation key for exactly this Galois element; raise ValueError, one sentence, where it is another."""
    keys = seal.GaloisKeys()
    _load(keys, preset, data, "rotation key")
    if keys.size() != 1 or not keys.has_key(element):
        raise ValueError(f"This is not a rotation key that the preset {preset.name} needs; make the keys again.")
    return keys


def is_secret_key(preset: Preset, data: bytes) -> bool:
    """Return whether the bytes are a secret key of the preset, as SEAL saves one."""
    try:
        _load(seal.SecretKey(), preset, data, "secret key")
    except ValueError:
        return False
    return True


def secret_key_from(preset: Preset, data: bytes) -> seal.SecretKey:
    """Return a secret key of the preset; raise ValueError, one sentence, where the bytes hold none."""
    key = seal.SecretKey()
    _load(key, preset, data, "secret key")
    return key


def _load(empty: Any, preset: Preset, data: bytes, what: str) -> None:
    """Load into an empty object; SEAL checks sizes, the modulus, and that coefficients are below their primes."""
    message = f"These bytes hold no {what} of the preset {preset.name}; they were damaged or made for another one."
    # SEAL reads as far as its header says and no further, so bytes behind it would go unseen.
    whole = len(data) >= HEADER_BYTES and int.from_bytes(data[:2], "little") == MAGIC
    if not whole or int.from_bytes(data[8:16], "little") != len(data):
        raise ValueError(message)
    with _scratch_path() as path:
        Path(path).write_bytes(data)
        try:
            empty.load(context_of(preset.name), path)
        except Exception as error:
            # std::logic_error, runtime_error and bad_alloc reach Python as different types.
            raise ValueError(message) from error


@contextmanager
def _scratch_path() -> Iterator[str]:
    """Give a path to SEAL, which saves to files alone: that of a nameless file in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("seal")
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "object")
