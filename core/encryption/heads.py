"""What is computed on an encrypted token: the last layers of a network, as plain numbers."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

TOKEN_SIZE = 768
"""Numbers in a token, as in the [CLS] token of ViT-Base (Dosovitskiy et al. 2021, table 1)."""

MAX_UNPACKED_BYTES = 4 * 10**6
"""Of an .npz file: what is sent is limited, and a compressed file may hold a thousand times as much."""

KINDS = ("linear", "polynomial")
NAMES = {
    "linear": ("weight", "bias"),
    "polynomial": ("hidden_weight", "hidden_bias", "output_weight", "output_bias"),
}


class Shape(NamedTuple):
    """All that a client has to know of a head: its kind, its number of classes, its hidden units (0 where linear)."""

    kind: str
    classes: int
    hidden: int = 0


@dataclass(frozen=True)
class Head:
    """The last layers of a classifier.

    Attributes
    ----------
    kind : str
        'linear', or 'polynomial' for one hidden layer whose activation is the square (Gilad-Bachrach et al. 2016,
        section 3: the lowest polynomial that is not linear).
    weights : tuple of ndarray
        Float64. linear: (C, 768), (C,); polynomial: (H, 768), (H,), (C, H), (C,).

    Raises
    ------
    ValueError
        No such kind, shapes that don't fit together, weights that are not finite or all zero; one sentence.
    """

    kind: str
    weights: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        check_kind(self.kind)
        object.__setattr__(self, "weights", tuple(np.asarray(part, dtype=np.float64) for part in self.weights))
        if [part.shape for part in self.weights] != self._expected():
            raise ValueError(f"The weights of the {self.kind} head don't fit together, or not a token of {TOKEN_SIZE}.")
        if not all(np.isfinite(part).all() for part in self.weights):
            raise ValueError(f"The {self.kind} head holds weights that are not finite numbers.")
        if not all(part.any() for part in self.weights[::2]):
            raise ValueError(f"The {self.kind} head holds nothing but zeros, which can't be encoded.")

    def _expected(self) -> list[tuple[int, ...]]:
        first = self.weights[0].shape[:1] or (0,)
        if self.kind == "linear":
            return [(*first, TOKEN_SIZE), first]
        classes = self.weights[-1].shape[:1] or (0,)
        return [(*first, TOKEN_SIZE), first, (*classes, *first), classes]

    @property
    def shape(self) -> Shape:
        """Return what a client has to know of it."""
        hidden = len(self.weights[0]) if self.kind == "polynomial" else 0
        return Shape(self.kind, len(self.weights[-1]), hidden)

    @property
    def depth(self) -> int:
        """Return its multiplications one after another: 1, or 3 with the square between two layers."""
        return depth_of(self.kind)

    def logits(self, token: np.ndarray) -> np.ndarray:
        """Return the (C,) logits of a (768,) token in the clear, float64."""
        token = np.asarray(token, dtype=np.float64)
        hidden = self.weights[0] @ token + self.weights[1]
        return hidden if self.kind == "linear" else self.weights[2] @ hidden**2 + self.weights[3]

    def to_bytes(self) -> bytes:
        """Return the bytes of an .npz file without pickled objects, for the server."""
        file = io.BytesIO()
        arrays: dict[str, Any] = dict(zip(NAMES[self.kind], self.weights))
        np.savez(file, **arrays)
        return file.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> "Head":
        """Return the head of an .npz file; raise ValueError, one sentence, where the bytes hold none."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                if sum(entry.file_size for entry in file.zip.infolist()) > MAX_UNPACKED_BYTES:
                    raise ValueError("too large")
                kind = next(kind for kind in KINDS if set(NAMES[kind]) == set(file.files))
                weights = tuple(file[name] for name in NAMES[kind])
        except Exception as error:
            # numpy, zipfile and zlib each have their own errors for damaged files.
            raise ValueError("These bytes hold no head: an .npz file with a head's weights is needed.") from error
        return Head(kind, weights)


def check_kind(kind: str) -> None:
    """Raise ValueError, one sentence, where there is no head of this kind."""
    if kind not in KINDS:
        raise ValueError(f"There is no head named {kind!r}; choose one of: {', '.join(KINDS)}.")


def depth_of(kind: str) -> int:
    """Return how many multiplications one after another a head of this kind takes."""
    return 1 if kind == "linear" else 3


def head_of(network: Any, kind: str) -> Head:
    """Return the head of a network that has `linear`, or `polynomial.hidden` and `polynomial.output`.

    Raises
    ------
    ValueError
        No such kind, or a network without such a head; one sentence.
    """
    check_kind(kind)
    part = getattr(network, kind, None)
    layers: list[Any] = [part] if kind == "linear" else [getattr(part, "hidden", None), getattr(part, "output", None)]
    if not hasattr(network, "token") or any(not hasattr(layer, "weight") for layer in layers):
        raise ValueError(f"This classifier has no {kind} head on a token of {TOKEN_SIZE} numbers; choose vit.")
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    return Head(kind, tuple(tensor.detach().double().cpu().numpy() for tensor in tensors))


def head_digest(data: bytes) -> str:
    """Return the SHA-256 of a head's bytes, hex: the name by which a server knows it."""
    return hashlib.sha256(data).hexdigest()
