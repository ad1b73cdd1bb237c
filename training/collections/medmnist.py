"""Bring a file of MedMNIST (Yang et al. 2023) into the project's layout, near-duplicates kept together.

    python -m training.collections.medmnist --data pneumoniamnist.npz --out build/pneumonia.npz

MedMNIST tells no patients apart. Pictures that are almost the same share a group, and the training pictures of a group
that reaches into the official validation or test split are left out; those two splits stay whole, as published.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from training.options import command_options

SPLITS = ("train", "val", "test")  # in the order of the codes that the project's layout has for them
# Correlation of two pictures' pixels. Of PneumoniaMNIST's pairs 31 are above .985, all but the same file twice, and
# none is between .975 and .985.
ALIKE = 0.95
BLOCK = 1024  # pictures compared with all others at a time


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="an .npz as MedMNIST publishes it")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    convert(parser.parse_args())


def convert(options: argparse.Namespace) -> None:
    """Write the pictures of --data, less those that are left out, to --out."""
    images, labels, splits = read_medmnist(options.data)
    groups = near_duplicates(images)
    kept = ~straddling(groups, splits)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, image=images[kept], label=labels[kept], group=groups[kept], split=splits[kept])
    counts = ", ".join(f"{(splits[kept] == code).sum()} {name}" for code, name in enumerate(SPLITS))
    print(f"{counts}; {len(set(groups[kept]))} groups; left out: {(~kept).sum()} train")


def read_medmnist(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (N, H, W) or (N, H, W, 3) uint8, labels (N,) and split codes (N,).

    Raises
    ------
    SystemExit
        The file is none of MedMNIST's, or its pictures have several labels each; one sentence.
    """
    try:
        with np.load(path) as archive:
            parts = [(archive[f"{name}_images"], archive[f"{name}_labels"]) for name in SPLITS]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise SystemExit(f"{path.name} isn't laid out as MedMNIST's files are ({error}); give one of those.") from error
    if any(labels.shape != (len(images), 1) for images, labels in parts):
        raise SystemExit(f"{path.name} doesn't have one label for each picture; a bundle needs exactly one.")
    images, labels = (np.concatenate(columns) for columns in zip(*parts))
    return images, labels.ravel(), np.repeat(np.arange(len(SPLITS)), [len(part) for part, _ in parts])


def near_duplicates(images: np.ndarray) -> np.ndarray:
    """Return (N,) the group of each picture: those whose pixels correlate by more than `ALIKE`, and theirs in turn."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6)
    first, second = np.concatenate(list(alike_pairs(rows)), axis=1)
    pairs = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(rows), len(rows)))
    return connected_components(pairs, directed=False)[1]


def alike_pairs(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (2, K) indices of pairs of (N, D) normalised rows that are alike, a block of rows at a time."""
    for start in range(0, len(rows), BLOCK):
        first, second = np.nonzero(rows[start : start + BLOCK] @ rows.T > ALIKE)
        yield np.stack([first + start, second])


def straddling(groups: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return (N,) bool: the training pictures whose group reaches into another split."""
    return (splits == 0) & np.isin(groups, groups[splits != 0])


if __name__ == "__main__":
    main()
