"""Updates that the server adds and can't read: a network's numbers in ciphertexts, whatever the size of its layers.

The hospitals share a key that the server hasn't (`core.encryption.aggregation`). Each encrypts its share n_k / n of its
weights; the server adds ciphertexts; whoever has the key reads the sum and divides it by the shares that are in it, so
that a hospital which drops out leaves a mean over the others. Counters of batches aren't sent.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.encryption.client import Client, chunk_size
from core.encryption.parameters import PRESETS
from core.encryption.serialization import fresh_ciphertext_from, to_bytes
from core.encryption.wire import MAX_CHUNKS
from core.encryption.worker import add_vectors
from core.federation.averaging import State
from core.storage import write_secret

PRESET = PRESETS["sum"]
PREFIX = "ciphertext."
KEY = "sum.key"
SCALE = 64.0
"""Numbers go through divided by this: variances of BatchNorm reach hundreds, and a sum holds no number beyond ± 16."""


class SumKey:
    """The secret key that the hospitals of a federation share.

    Parameters
    ----------
    secret : bytes or None
        As `secret` holds it; None makes a new key.
    """

    def __init__(self, secret: bytes | None = None):
        self._client = Client(PRESET, secret=secret)

    @property
    def secret(self) -> bytes:
        """The key, for the other hospitals."""
        return self._client.secret_bytes()

    def encrypted(self, state: State, share: float) -> dict[str, Tensor]:
        """Ciphertexts of a state times `share` in [0, 1], as bytes under their own names.

        Raises
        ------
        ValueError
            A number beyond ± 1024, or not finite; one sentence.
        """
        vector = _vector(state) * share / SCALE
        most = MAX_CHUNKS * chunk_size(PRESET)
        parts = [self._client.encrypt_vector(vector[start : start + most]) for start in range(0, len(vector), most)]
        return _named([chunk for part in parts for chunk in part])

    def decrypted(self, sums: State, like: State, summed: float) -> dict[str, Tensor]:
        """The mean state that ciphertexts hold.

        Parameters
        ----------
        sums : mapping of str to Tensor
            As `added` returns them.
        like : mapping of str to Tensor
            Names, shapes and types of the entries; counters of batches are left out.
        summed : float
            The shares that were added up.

        Raises
        ------
        ValueError
            Another key, other entries, or nothing that was added up; one sentence.
        """
        if not summed > 0:
            raise ValueError("The server says that nothing was added up, so there is no mean.")
        length, chunks = len(_vector(like)), _chunks(sums)
        vector = torch.from_numpy(self._client.decrypt_mean(chunks, length, 1) * SCALE / summed)
        state, place = {}, 0
        for name in _layout(like):
            values = vector[place : place + like[name].numel()]
            state[name], place = values.reshape(like[name].shape).to(like[name].dtype), place + like[name].numel()
        return state


def keep_key(folder: Path) -> Path:
    """The file of a federation's key in its folder, made there if there is none: what goes on is under the same one."""
    path = folder / KEY
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_secret(path, SumKey().secret)
    return path


def read_key(path: Path) -> SumKey:
    """The key in a file; ValueError, one sentence, where there is none."""
    try:
        return SumKey(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"The sites' key can't be read from {path.name}; get it from the site that made it."
        ) from error


def is_encrypted(state: State) -> bool:
    """Whether this is ciphertexts rather than weights."""
    return any(name.startswith(PREFIX) for name in state)


def added(states: Mapping[str, State], like: State) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The sum of the hospitals' ciphertexts, made without a key; and hospital → why its own aren't in it.

    Those are left out that sent bytes which are no fresh ciphertexts, or not as many as a state `like` this takes.
    """
    count = -(-len(_vector(like)) // chunk_size(PRESET))
    wanted = set(_named([b"\0"] * count))
    sums: list = []
    refused = {}
    for name, state in states.items():
        if state.keys() != wanted:
            refused[name] = "Its encrypted update is not as long as one of this network."
            continue
        try:
            own = [fresh_ciphertext_from(PRESET, chunk) for chunk in _chunks(state)]
        except ValueError:
            refused[name] = "What it sent are no fresh ciphertexts."
            continue
        sums = add_vectors(PRESET, sums, own)
    return _named([to_bytes(total) for total in sums]), refused


def _layout(state: State) -> list[str]:
    return sorted(name for name, value in state.items() if value.is_floating_point())


def _vector(state: State) -> np.ndarray:
    return torch.cat([state[name].double().flatten() for name in _layout(state)]).numpy()


def _named(chunks: Sequence[bytes]) -> dict[str, Tensor]:
    return {
        f"{PREFIX}{place:06d}": torch.frombuffer(bytearray(each), dtype=torch.uint8)
        for place, each in enumerate(chunks)
    }


def _chunks(state: Mapping[str, Tensor]) -> list[bytes]:
    return [state[name].numpy().tobytes() for name in sorted(state) if name.startswith(PREFIX)]
