"""A scan from its class token: by search, or by guessing from the bytes that crossed."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.faults.sites import private_copy
from core.federation.leaks.inversion import InversionStep, SearchSettings, search_steps
from core.models.vit import TokenViT


def token_steps(
    network: TokenViT,
    token: Tensor,
    shape: Sequence[int],
    generator: torch.Generator,
    settings: SearchSettings | None = None,
    start: Tensor | None = None,
) -> Iterator[InversionStep]:
    """Search for a scan that has a given class token: what a server can do that knows the network.

    Parameters
    ----------
    network : TokenViT
        Left as it is.
    token : Tensor
        (D,), such as a plain token, or `token_from_bytes` of an encrypted one.
    shape, generator, settings, start
        As for `invert_steps`.
    """
    private = private_copy(network)
    token = token.to(next(private.parameters()).device)

    def loss(estimate: Tensor) -> Tensor:
        return 1 - cosine_similarity(private.token(estimate)[0], token, dim=0)

    return search_steps(loss, shape, generator, settings or SearchSettings(), start, token.device)


def token_from_bytes(data: bytes, length: int = 768, word: str = "<u8") -> Tensor:
    """What a server that sees ciphertexts can take for the token: numbers from the middle of its bytes.

    A ciphertext holds polynomials whose coefficients are uniform to whoever lacks the key, so every reading is as good
    as any. The middle lies clear of the headers, and mean 0 and variance 1 are what a token has.

    Parameters
    ----------
    data : bytes
        A ciphertext.
    length : int
        Numbers of a token.
    word : str
        How a number is written, as NumPy names it: '<u8' for coefficients in 64 bits, 'u1' for the bytes themselves.

    Returns
    -------
    Tensor
        (length,) float32, mean 0 and variance 1.
    """
    size = np.dtype(word).itemsize
    if len(data) < length * size:
        raise ValueError(f"{len(data)} bytes don't hold {length} numbers of {size} bytes; give a whole ciphertext.")
    first = (len(data) // size - length) // 2 * size
    numbers = np.frombuffer(data, word, length, first).astype(np.float64)
    return torch.from_numpy((numbers - numbers.mean()) / max(numbers.std(), np.finfo(np.float64).tiny)).float()
