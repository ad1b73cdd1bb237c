"""A guard for weights: which tensors have been damaged, and what they held before.

Each tensor has an extended Hamming code (Hamming 1950; the extension that detects double errors: Hsiao 1970 and every
ECC memory since) over its elements. The words are the elements' bits in the order in which they lie in memory, and each
bit lane, such as all sign bits, is a code of its own. Parity word 0 is the XOR of all words, and parity word 1 + b the
XOR of the words whose index has bit b set. What a flip changes in them spells its index, lane by lane: one flip a lane
is put right, two are seen, and any set of up to three flips, wherever they lie, is seen (distance 4).
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from core.faults.parts import float_tensors
from core.faults.ranges import Ranges
from core.models.changes import UNIT, with_changes
from core.models.experts import stored_name

GUARDS = ("off", "detect", "repair")
CORRECTED, RELOADED, RENEWED, BEYOND = "corrected", "reloaded", "code renewed", "beyond repair"
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
ROW = 1024


@dataclass(frozen=True)
class RepairReport:
    """What became of each damaged tensor.

    Attributes
    ----------
    outcomes : mapping of str to str
        Tensor → ``corrected`` (in memory, from the code), ``reloaded`` (from the weights file), ``code renewed`` (the
        tensor was sound and its code was not) or ``beyond repair`` (left as it was found). Empty where nothing was
        damaged.
    """

    outcomes: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether every tensor is again, bit by bit, what it was when the guard was made."""
        return BEYOND not in self.outcomes.values()


class PartialCheck(NamedTuple):
    """damaged: tensors among those looked at; looked_at, of: how many these were, and of how many in all."""

    damaged: tuple[str, ...]
    looked_at: int
    of: int


@dataclass(frozen=True)
class _Code:
    """order: dimensions by falling stride, as the words lie in memory; parities (1 + bits of an index,); SHA-256."""

    order: tuple[int, ...]
    parities: np.ndarray
    digest: bytes


class Guard:
    """The codes of a network's parameters and float buffers (BatchNorm's running statistics are as deadly as weights).

    A correction counts only when the tensor's SHA-256 is again the one taken at the start, as three flips in one lane
    look to the code like one flip elsewhere; else the tensor is reloaded from its file, and checked in the same way.

    The codes themselves lie in memory, too. A flip in a parity word raises an alarm although the tensor is sound;
    `repair` sees by the SHA-256 that it is, leaves it alone and computes the code anew. A flip in a SHA-256 does
    nothing until its tensor is damaged as well; that tensor is then called beyond repair, although it could have been
    saved. Neither ever changes a sound weight. What the guard can't see are four or more flips in one lane whose
    indices cancel out, as those of the four corners of a rectangle in a power-of-two grid do.

    Parameters
    ----------
    network : Module
        Undamaged; it isn't kept, so that the guard also serves its copies.
    path : Path, optional
        Safetensors file with the tensors in any float format, as a bundle keeps them in fp16; without it, what the
        code can't correct is beyond repair.
    ranges : Ranges, optional
        Limits on activations, kept here for whoever runs the network: the guard itself sees no activations.
    changes : Path, optional
        Safetensors file of what the network has other than `path` (`core.models.changes`).
    rounded : bool
        The network's numbers were rounded to bfloat16 after loading, so what is reloaded has to be rounded as well.
    """

    def __init__(
        self,
        network: nn.Module,
        path: Path | None = None,
        ranges: Ranges | None = None,
        *,
        changes: Path | None = None,
        rounded: bool = False,
    ):
        self.path, self.changes, self.ranges, self._rounded = path, changes, ranges, rounded
        tensors = float_tensors(network)
        self._shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self._codes = {name: _encoded(tensor) for name, tensor in tensors.items()}
        self._next = 0

    def __len__(self) -> int:
        """How many tensors it guards."""
        return len(self._codes)

    @property
    def bytes(self) -> int:
        """Memory of all parity words and digests."""
        return sum(code.parities.nbytes + len(code.digest) for code in self._codes.values())

    def check(self, network: nn.Module) -> tuple[str, ...]:
        """Names of the tensors that aren't what they were; empty where all are.

        Raises
        ------
        ValueError
            The network has other tensors than the one that the guard was made for; one sentence.
        """
        return tuple(name for name, tensor in self._tensors(network).items() if self._damaged(name, tensor))

    def repair(self, network: nn.Module) -> RepairReport:
        """Put every damaged tensor right, in place; ValueError as in `check`."""
        tensors = self._tensors(network)
        damaged = [name for name, tensor in tensors.items() if self._damaged(name, tensor)]
        return RepairReport({name: self._repaired(name, tensors[name]) for name in damaged})

    def check_next(self, network: nn.Module, budget_ms: float) -> PartialCheck:
        """Look at the next tensors, at least one, until the time is up; after the last comes the first again."""
        start, names = time.perf_counter(), list(self._codes)
        tensors, damaged, looked_at = self._tensors(network), [], 0
        while not looked_at or (looked_at < len(names) and 1000 * (time.perf_counter() - start) < budget_ms):
            name = names[self._next]
            damaged += [name] if self._damaged(name, tensors[name]) else []
            self._next, looked_at = (self._next + 1) % len(names), looked_at + 1
        return PartialCheck(tuple(damaged), looked_at, len(names))

    def _tensors(self, network: nn.Module) -> dict[str, Tensor]:
        tensors = float_tensors(network)
        if {name: tensor.shape for name, tensor in tensors.items()} != self._shapes:
            raise ValueError("The guard was made for a network with other tensors; make one for this network.")
        return tensors

    def _damaged(self, name: str, tensor: Tensor) -> bool:
        code = self._codes[name]
        return not np.array_equal(parity_words(_words(tensor, code.order)), code.parities)

    def _repaired(self, name: str, tensor: Tensor) -> str:
        code = self._codes[name]
        flips = located_flips(parity_words(_words(tensor, code.order)) ^ code.parities, tensor.numel())
        _flip(tensor, code.order, flips)
        if flips and _sound(tensor, code):
            return CORRECTED
        _flip(tensor, code.order, flips)
        if _sound(tensor, code):
            self._codes[name] = _encoded(tensor)
            return RENEWED
        stored = self._stored(name, tensor)
        if stored is not None and _sound(stored, code):
            tensor.detach().copy_(stored)
            return RELOADED
        return BEYOND

    def _stored(self, name: str, tensor: Tensor) -> Tensor | None:
        """The tensor as its file has it, laid out as in memory; None where it can't be had."""
        if self.path is None:
            return None
        try:
            with safe_open(self.path, "pt") as file:
                stored = file.get_tensor(stored_name(name, file.keys()))
            if self.changes is not None:
                stored = with_changes({name: stored}, self._changes_of(name))[name]
        except (OSError, SafetensorError):
            return None
        if stored.shape != tensor.shape:
            return None
        loaded = torch.empty_like(tensor).copy_(stored)
        return loaded.copy_(loaded.bfloat16()) if self._rounded else loaded

    def _changes_of(self, name: str) -> dict[str, Tensor]:
        assert self.changes is not None
        with safe_open(self.changes, "pt") as file:
            return {key: file.get_tensor(key) for key in (name, name + UNIT) if key in file.keys()}  # noqa: SIM118


def parity_words(words: np.ndarray) -> np.ndarray:
    """(N,) integers → (1 + ⌈log2 N⌉,): the XOR of all words, then for each bit b that of words whose index has it.

    A long vector is a matrix with rows of 1024 words: the XOR of its rows gives the lower bits of the index, that of
    its columns the upper ones, in two passes over the words.
    """
    count, length = len(words), len(words) // ROW * ROW
    if count <= ROW:
        kept = _index_masks(words.dtype)[: 1 + (count - 1).bit_length(), :count]
        return np.bitwise_xor.reduce(words & kept, axis=1)
    matrix, rest = words[:length].reshape(-1, ROW), words[length:]
    columns, rows = np.bitwise_xor.reduce(matrix, axis=0), np.bitwise_xor.reduce(matrix, axis=1)
    if len(rest):
        columns[: len(rest)] ^= rest
        rows = np.append(rows, np.bitwise_xor.reduce(rest))
    return np.append(parity_words(columns), parity_words(rows)[1:])


@cache
def _index_masks(dtype: np.dtype) -> np.ndarray:
    """(1 + log2 ROW, ROW): all ones everywhere in row 0, and in row 1 + b where the column's index has bit b."""
    index = np.arange(ROW)
    bits = [(index >> bit) & 1 for bit in range((ROW - 1).bit_length())]
    return -np.stack([np.ones_like(index), *bits]).astype(dtype)


def located_flips(syndrome: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Where the code says that bits have flipped: (index, lane) pairs, at most one a lane.

    Empty where it can't say: a lane with two flips, or an index beyond the tensor.

    Parameters
    ----------
    syndrome : ndarray
        (1 + bits of an index,) parity words now, XOR those of the undamaged tensor.
    count : int
        Elements of the tensor.
    """
    odd, lanes = syndrome[0], 8 * syndrome.dtype.itemsize
    if np.bitwise_or.reduce(syndrome) & ~odd:
        return []
    bits = (syndrome[:, None] >> np.arange(lanes, dtype=syndrome.dtype)) & 1
    indices = (bits[1:].astype(np.int64) << np.arange(len(syndrome) - 1)[:, None]).sum(0)
    flips = [(int(indices[lane]), lane) for lane in range(lanes) if bits[0, lane]]
    return flips if all(index < count for index, _ in flips) else []


def _encoded(tensor: Tensor) -> _Code:
    order = tuple(sorted(range(tensor.ndim), key=lambda place: -tensor.stride()[place]))
    words = _words(tensor, order)
    return _Code(order, parity_words(words), _digest(words))


def _cells(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """The elements' bits as integers, sharing memory."""
    return tensor.detach().view(INTEGERS[tensor.element_size()]).permute(order)


def _words(tensor: Tensor, order: tuple[int, ...]) -> np.ndarray:
    """The same in one row; it shares memory, and costs nothing, where the tensor still lies as its code says."""
    return _cells(tensor, order).reshape(-1).cpu().numpy()


def _digest(words: np.ndarray) -> bytes:
    return hashlib.sha256(words.data).digest()


def _sound(tensor: Tensor, code: _Code) -> bool:
    return _digest(_words(tensor, code.order)) == code.digest


def _flip(tensor: Tensor, order: tuple[int, ...], flips: Sequence[tuple[int, int]]) -> None:
    """Flip (index, lane) pairs in place; doing it again takes it back."""
    cells = _cells(tensor, order)
    for index, lane in flips:
        sign = lane == 8 * tensor.element_size() - 1
        cells[np.unravel_index(index, cells.shape)] ^= -(1 << lane) if sign else 1 << lane
