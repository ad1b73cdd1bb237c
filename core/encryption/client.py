"""The side that holds the secret key: makes keys, encrypts tokens, reads answers.

CKKS decrypts to the result plus a small error, and that error tells of the secret key: who sees enough decryptions
beside their ciphertexts solves for the key (Li and Micciancio 2021, section 3). So nobody sees them raw: what is
decrypted is rounded to multiples of the preset's step (Cheon, Hong and Kim 2020 propose to return only digits that the
error doesn't reach). A rounded answer is that of the exact result, and tells nothing of the error, unless the result
lies within the error of a rounding edge, which happens to a share of twice the error over the step (1 to 2 % of the
logits of the precise presets, 9 % of polynomial-fast). Noise flooding (Li, Micciancio, Schultz and Sorrell 2022) would
bound what even those tell; for a bound worth stating it must drown the error by 2^30 or more, and an answer of this
precision has no room for that. So rounding is a mitigation and no proof: decrypted numbers are for whoever holds the
key, the server is never sent them, and keys live as long as one visit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tenseal.sealapi as seal

from core.encryption.encoding import coefficients_of, decode, encode, slots_of
from core.encryption.heads import Shape
from core.encryption.packed import COARSE, answer_layout, answer_scale, rotations, token_slots
from core.encryption.parameters import Preset, check_preset
from core.encryption.serialization import ciphertext_from, context_of, secret_key_from, to_bytes
from core.encryption.wire import MAX_CHUNKS, pack

ZERO_LIMIT = 0.05
"""Known zeros of an answer stay below this; under another key they are as large as anything that fits."""

ZERO_PADDING = 64
"""Coefficients of a ciphertext of a sum that stay zero, for the same check."""

UNREADABLE = (
    "The answer can't be read: it was not made for this key, or it was changed on its way, so nothing of it is shown."
)


class _Keys(NamedTuple):
    generator: seal.KeyGenerator
    encryptor: seal.Encryptor
    decryptor: seal.Decryptor


class Client:
    """Keys of one visitor, in memory alone; they come from SEAL's own secure randomness.

    Parameters
    ----------
    preset : Preset
        The encryption parameters.
    shape : Shape or None
        What is known of the head; None for keys that only add.
    secret : bytes or None
        A secret key that `secret_bytes` gave another client, for those who share one; None makes a new one.

    Raises
    ------
    ValueError
        The preset can't carry the head, or a client that has been closed is used; one sentence.
    """

    def __init__(self, preset: Preset, shape: Shape | None = None, secret: bytes | None = None):
        if shape is not None:
            check_preset(preset, shape)
        self.preset, self.shape = preset, shape
        context = context_of(preset.name)
        generator = seal.KeyGenerator(context, *([] if secret is None else [secret_key_from(preset, secret)]))
        key = generator.secret_key()
        self._keys: _Keys | None = _Keys(generator, seal.Encryptor(context, key), seal.Decryptor(context, key))
        self._context: bytes | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def context_bytes(self) -> bytes:
        """Return the preset's name and the rotation keys, for the server; never the secret key."""
        generator = self._open_keys().generator
        if self._context is None:
            elements = rotations(self.preset, self.shape.kind) if self.shape else []
            # One at a time: SEAL holds the interpreter lock, and other visitors want it in between.
            keys = [(str(element), to_bytes(generator.create_galois_keys([element]))) for element in elements]
            self._context = pack([("preset", self.preset.name.encode()), *keys])
        return self._context

    def secret_bytes(self) -> bytes:
        """Return the secret key, for a partner who shall read the same sums; never for the server."""
        return to_bytes(self._open_keys().generator.secret_key())

    def encrypt(self, token: np.ndarray) -> bytes:
        """Return the ciphertext of a (768,) token, half as large as usual: its second polynomial is sent as a seed.

        Raises
        ------
        ValueError
            Keys that have been dropped or that only add, or not 768 finite numbers of a token's length; one sentence.
        """
        return self._encrypted(token_slots(self.preset, self._head_shape(), token))

    def decrypt(self, answer: bytes) -> np.ndarray:
        """Return the (C,) logits of an answer, rounded to the preset's step.

        Raises
        ------
        ValueError
            Damaged bytes, an answer under another key, or logits that the preset can't hold; one sentence.
        """
        shape = self._head_shape()
        layout = answer_layout(self.preset, shape)
        numbers = self._coefficients(answer, answer_scale(self.preset, shape))
        if np.abs(numbers[layout.zeros]).max() > ZERO_LIMIT:
            raise ValueError(UNREADABLE)
        logits = numbers[layout.logits]
        if len(layout.coarse) and np.abs(logits - COARSE * numbers[layout.coarse]).max() > 1:
            raise ValueError(f"The logits are larger than an answer of {self.preset.name} holds; scale the head down.")
        return self._rounded(logits)

    def encrypt_vector(self, vector: np.ndarray) -> list[bytes]:
        """Return the ciphertexts of (L,) numbers, to be added up; each holds as many as it has coefficients to use.

        Raises
        ------
        ValueError
            No finite numbers, too many of them, or beyond ± `largest_number`; one sentence.
        """
        vector = np.asarray(vector, dtype=np.float64)
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            raise ValueError("A vector to be added up is a row of finite numbers.")
        if np.abs(vector).max() > largest_number(self.preset):
            most = largest_number(self.preset)
            raise ValueError(f"Numbers to be added up lie within ± {most:g}; scale the vector down by a known factor.")
        size = chunk_size(self.preset)
        if len(vector) > MAX_CHUNKS * size:
            raise ValueError(f"A vector to be added up may have {MAX_CHUNKS * size} numbers; send it in parts.")
        chunks = np.pad(vector, (0, -len(vector) % size)).reshape(-1, size)
        return [self._encrypted(slots_of(np.pad(chunk, (0, ZERO_PADDING)))) for chunk in chunks]

    def decrypt_mean(self, chunks: Sequence[bytes], length: int, count: int) -> np.ndarray:
        """Return (length,) numbers, the mean of `count` vectors, of its ciphertexts; rounded to the preset's step.

        The server added ciphertexts and no more: that their sum is a mean is a matter of the scale it is read with.

        Raises
        ------
        ValueError
            Damaged bytes, too few of them, or a sum under another key; one sentence.
        """
        size = chunk_size(self.preset)
        if len(chunks) != -(-length // size):
            raise ValueError("The encrypted mean is not as long as the vectors that were sent; send them again.")
        numbers = [self._coefficients(chunk, 2.0**self.preset.token_bits) / count for chunk in chunks]
        if max(np.abs(part[size:]).max() for part in numbers) > self.preset.step:
            raise ValueError(UNREADABLE)
        return self._rounded(np.concatenate([part[:size] for part in numbers])[:length])

    def close(self) -> None:
        """Drop the keys; whatever was encrypted under them can't be read any more."""
        self._keys = self._context = None

    def _open_keys(self) -> _Keys:
        if self._keys is None:
            raise ValueError("These keys have been dropped; make new ones.")
        return self._keys

    def _head_shape(self) -> Shape:
        if self.shape is None:
            raise ValueError("These keys only add; make a client with a head's shape to encrypt a token for it.")
        return self.shape

    def _encrypted(self, slots: np.ndarray) -> bytes:
        encryptor = self._open_keys().encryptor
        return to_bytes(encryptor.encrypt_symmetric(encode(self.preset, slots, 2.0**self.preset.token_bits)))

    def _coefficients(self, data: bytes, scale: float) -> np.ndarray:
        decryptor = self._open_keys().decryptor
        ciphertext = ciphertext_from(self.preset, data)
        if not np.isclose(ciphertext.scale, scale, rtol=1e-9, atol=0):
            raise ValueError(UNREADABLE)
        plaintext = seal.Plaintext()
        try:
            decryptor.decrypt(ciphertext, plaintext)
        except (ValueError, RuntimeError) as error:
            raise ValueError(UNREADABLE) from error
        return coefficients_of(decode(self.preset, plaintext))

    def _rounded(self, numbers: np.ndarray) -> np.ndarray:
        return np.round(numbers / self.preset.step) * self.preset.step


def chunk_size(preset: Preset) -> int:
    """Return how many numbers of a vector one ciphertext of a sum holds."""
    return preset.degree - ZERO_PADDING


def largest_number(preset: Preset) -> float:
    """Return the largest absolute value of a number to be added up, for up to eight clients."""
    return 2.0 ** (preset.prime_bits[0] - preset.token_bits - 2) / 8
