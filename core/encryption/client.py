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

import numpy as np
import tenseal.sealapi as seal

from core.encryption.encoding import coefficients_of, decode, encode, slots_of
from core.encryption.heads import Shape
from core.encryption.packed import COARSE, answer_scale, places_of, rotations, token_slots
from core.encryption.parameters import Preset, check_preset
from core.encryption.sealed import ciphertext_from, context_of, to_bytes
from core.encryption.wire import MOST_CHUNKS, pack

ZERO_LIMIT = 0.05
"""Known zeros of an answer stay below this; under another key they are as large as anything that fits."""

SPARE = 64
"""Coefficients of a ciphertext of a sum that stay zero, for the same check."""

FOREIGN = (
    "The answer can't be read: it was not made for this key, or it was changed on its way, so nothing of it is shown."
)


class Client:
    """Keys of one visitor, in memory alone; they come from SEAL's own secure randomness.

    Parameters
    ----------
    preset : Preset
        The encryption parameters.
    shape : Shape or None
        What is known of the head; None for keys that only add.

    Raises
    ------
    ValueError
        The preset can't carry the head, or a client that has been closed is used; one sentence.
    """

    def __init__(self, preset: Preset, shape: Shape | None = None):
        if shape is not None:
            check_preset(preset, shape)
        self.preset, self.shape = preset, shape
        context = context_of(preset.name)
        self._generator: seal.KeyGenerator | None = seal.KeyGenerator(context)
        secret = self._generator.secret_key()
        self._encryptor = seal.Encryptor(context, secret)
        self._decryptor = seal.Decryptor(context, secret)
        self._context: bytes | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def context_bytes(self) -> bytes:
        """The preset's name and the rotation keys, for the server; never the secret key."""
        self._check_open()
        if self._context is None:
            elements = rotations(self.preset, self.shape.kind) if self.shape else []
            # One at a time: SEAL holds the interpreter lock, and other visitors want it in between.
            keys = [(str(element), to_bytes(self._generator.create_galois_keys([element]))) for element in elements]
            self._context = pack([("preset", self.preset.name.encode()), *keys])
        return self._context

    def encrypt(self, token: np.ndarray) -> bytes:
        """(768,) token → ciphertext: its second polynomial is a seed that the server expands, half the size."""
        self._check_open()
        if self.shape is None:
            raise ValueError("These keys only add; make a client with a head's shape to encrypt a token for it.")
        return self._encrypted(token_slots(self.preset, self.shape, token))

    def decrypt(self, answer: bytes) -> np.ndarray:
        """The answer to a token → (C,) logits, rounded to the preset's step.

        Raises
        ------
        ValueError
            Damaged bytes, an answer under another key, or logits that the preset can't hold; one sentence.
        """
        self._check_open()
        places = places_of(self.preset, self.shape)
        numbers = self._coefficients(answer, answer_scale(self.preset, self.shape))
        if np.abs(numbers[places.zeros]).max() > ZERO_LIMIT:
            raise ValueError(FOREIGN)
        logits = numbers[places.logits]
        if len(places.coarse) and np.abs(logits - COARSE * numbers[places.coarse]).max() > 1:
            raise ValueError(f"The logits are larger than an answer of {self.preset.name} holds; scale the head down.")
        return self._rounded(logits)

    def encrypt_vector(self, vector: np.ndarray) -> list[bytes]:
        """(L,) numbers → ciphertexts that can be added up, as many numbers in each as it has coefficients to use.

        Raises
        ------
        ValueError
            No finite numbers, too many of them, or beyond ± `largest_number`; one sentence.
        """
        self._check_open()
        vector = np.asarray(vector, dtype=np.float64)
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            raise ValueError("A vector to be added up is a row of finite numbers.")
        if np.abs(vector).max() > largest_number(self.preset):
            most = largest_number(self.preset)
            raise ValueError(f"Numbers to be added up lie within ± {most:g}; scale the vector down by a known factor.")
        size = chunk_size(self.preset)
        if len(vector) > MOST_CHUNKS * size:
            raise ValueError(f"A vector to be added up may have {MOST_CHUNKS * size} numbers; send it in parts.")
        chunks = np.pad(vector, (0, -len(vector) % size)).reshape(-1, size)
        return [self._encrypted(slots_of(np.pad(chunk, (0, SPARE)))) for chunk in chunks]

    def decrypt_mean(self, chunks: Sequence[bytes], length: int, count: int) -> np.ndarray:
        """Ciphertexts of the mean of `count` vectors → (length,) numbers, rounded to the preset's step.

        The server added ciphertexts and no more: that their sum is a mean is a matter of the scale it is read with.

        Raises
        ------
        ValueError
            Damaged bytes, too few of them, or a sum under another key; one sentence.
        """
        self._check_open()
        size = chunk_size(self.preset)
        if len(chunks) != -(-length // size):
            raise ValueError("The encrypted mean is not as long as the vectors that were sent; send them again.")
        numbers = [self._coefficients(chunk, 2.0**self.preset.token_bits) / count for chunk in chunks]
        if max(np.abs(part[size:]).max() for part in numbers) > self.preset.step:
            raise ValueError(FOREIGN)
        return self._rounded(np.concatenate([part[:size] for part in numbers])[:length])

    def close(self) -> None:
        """Drop the keys; whatever was encrypted under them can't be read any more."""
        self._generator = self._encryptor = self._decryptor = self._context = None

    def _check_open(self) -> None:
        if self._generator is None:
            raise ValueError("These keys have been dropped; make new ones.")

    def _encrypted(self, slots: np.ndarray) -> bytes:
        plaintext = encode(self.preset, slots, 2.0**self.preset.token_bits)
        return to_bytes(self._encryptor.encrypt_symmetric(plaintext))

    def _coefficients(self, data: bytes, scale: float) -> np.ndarray:
        ciphertext = ciphertext_from(self.preset, data)
        if not np.isclose(ciphertext.scale, scale, rtol=1e-9, atol=0):
            raise ValueError(FOREIGN)
        plaintext = seal.Plaintext()
        try:
            self._decryptor.decrypt(ciphertext, plaintext)
        except (ValueError, RuntimeError) as error:
            raise ValueError(FOREIGN) from error
        return coefficients_of(decode(self.preset, plaintext))

    def _rounded(self, numbers: np.ndarray) -> np.ndarray:
        return np.round(numbers / self.preset.step) * self.preset.step


def chunk_size(preset: Preset) -> int:
    """Numbers of a vector that one ciphertext of a sum holds."""
    return preset.degree - SPARE


def largest_number(preset: Preset) -> float:
    """Largest absolute value of a number to be added up, for up to eight clients."""
    return 2.0 ** (preset.prime_bits[0] - preset.token_bits - 2) / 8
