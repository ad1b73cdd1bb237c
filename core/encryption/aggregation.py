"""Encrypted aggregation: clients encrypt under one key, the server adds, and the mean is all that is decrypted.

The clients of a federation share a key that the server doesn't have. The server sees no token and no update; a client
that collected another's ciphertexts could read them, against which it takes a threshold key (Mouchet et al. 2021), not
made here. Numbers lie in the coefficients of ciphertexts, twice as dense as in slots, as they are only added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from core.encryption.client import Client
from core.encryption.parameters import PRESETS
from core.encryption.service import Server

MAX_CLIENTS = 8


@dataclass(frozen=True)
class EncryptedMean:
    """What came of an aggregation.

    Attributes
    ----------
    mean : ndarray
        (L,) mean of the clients' vectors, decrypted and rounded.
    max_error : float
        Largest absolute difference to the mean in the clear.
    upload_kb : float
        KB (1000 bytes) that each client sent.
    download_kb : float
        KB of the encrypted mean.
    plain_kb : float
        KB of one vector in the clear, as float32.
    seconds : dict of str to float
        'encrypt' of one client, 'server' of the server's adding altogether, 'decrypt'.
    """

    mean: np.ndarray
    max_error: float
    upload_kb: float
    download_kb: float
    plain_kb: float
    seconds: dict[str, float]


def encrypted_mean(vectors: Sequence[np.ndarray], server: Server) -> EncryptedMean:
    """Return the mean of the clients' vectors: each is encrypted, the server adds them, the mean is decrypted.

    Parameters
    ----------
    vectors : sequence of ndarray
        One (L,) vector a client, such as a token or a model update; 1 to 8 clients, numbers within ± 16.

    Raises
    ------
    ValueError
        No clients or too many, vectors of different lengths, or what `Client.encrypt_vector` refuses; one sentence.
    """
    vectors = [np.asarray(vector, dtype=np.float64) for vector in vectors]
    if not 1 <= len(vectors) <= MAX_CLIENTS:
        raise ValueError(f"A mean is of 1 to {MAX_CLIENTS} clients' vectors, not of {len(vectors)}.")
    if len({vector.shape for vector in vectors}) > 1:
        raise ValueError("The clients' vectors are of different lengths, so they have no mean.")
    with Client(PRESETS["sum"]) as client, server.open(client) as session:
        start = perf_counter()
        sent = [client.encrypt_vector(vector) for vector in vectors]
        encrypting = (perf_counter() - start) / len(vectors)
        answers = [session.contribute(chunks) for chunks in sent]
        chunks, count, answer = session.mean()
        start = perf_counter()
        mean = client.decrypt_mean(chunks, len(vectors[0]), count)
        decrypting = perf_counter() - start
    seconds = {
        "encrypt": encrypting,
        "server": answer.seconds + sum(answer.seconds for answer in answers),
        "decrypt": decrypting,
    }
    return EncryptedMean(
        mean=mean,
        max_error=float(np.abs(mean - np.mean(vectors, axis=0)).max()),
        upload_kb=answers[0].bytes_up / 1000,
        download_kb=answer.bytes_down / 1000,
        plain_kb=4 * len(mean) / 1000,
        seconds=seconds,
    )
