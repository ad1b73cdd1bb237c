"""Data sets to train on and to measure on: an .npz with images and labels, or a .zip of pictures with index.csv."""

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from core.bundles import Bundle, Input
from core.scans.geometry import Geometry
from core.scans.preparation import prepare

SPLITS = {"0": "train", "1": "val", "2": "test", "train": "train", "val": "val", "test": "test"}


_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, RuntimeError,
    zipfile.BadZipFile, zlib.error, UnidentifiedImageError, Image.DecompressionBombError,
)  # fmt: skip


class DatasetError(ValueError):
    """One sentence: what is wrong with the data set, and what it should hold."""


@dataclass(frozen=True)
class Dataset:
    """Images ready for a bundle's models.

    Attributes
    ----------
    pixels : Tensor
        (N, C, R, R) float32 in [0, 1].
    labels : Tensor
        (N,) class indices.
    groups : tuple of str
        Near-duplicate group of each image: what a bootstrap or a fold must keep together.
    splits : tuple of str
        'train', 'val' or 'test' for each image; empty where the file states none.
    sha256 : str
        Of the file, hex.
    masks, has_mask : Tensor or None
        (N, R, R) bool, True within the outlined lesion, and (N,) bool, whether an image has an outline; None where the
        file holds no outlines.
    sites, sequences : tuple of str
        Where each image was taken, and under which MR sequence; empty where the file doesn't say.
    collections : tuple of str
        Name of the file that each image comes from, without its ending.
    """

    pixels: Tensor
    labels: Tensor
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    sha256: str
    masks: Tensor | None = None
    has_mask: Tensor | None = None
    sites: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def joined(cls, parts: Sequence["Dataset"]) -> "Dataset":
        """Several data sets as one: a collection is the site of images that state none, and without outlines none has.

        Groups are told apart by collection, as two files may use one name for different things.
        """
        if len(parts) == 1:
            return parts[0]
        names = [name for part in parts for name in part.collections]
        sites = [site for part in parts for site in part.sites or part.collections]
        groups = [group for part in parts for group in part.groups]
        splits = tuple(split for part in parts for split in part.splits) if all(part.splits for part in parts) else ()
        masks, has_mask = _joined_outlines(parts)
        return cls(
            pixels=torch.cat([part.pixels for part in parts]),
            labels=torch.cat([part.labels for part in parts]),
            groups=tuple(f"{name} {group}" for name, group in zip(names, groups)),
            splits=splits,
            sha256=" ".join(part.sha256 for part in parts),
            sites=tuple(sites),
            sequences=tuple(each for part in parts for each in part.sequences or ("not stated",) * len(part)),
            collections=tuple(names),
            masks=masks,
            has_mask=has_mask,
        )

    def subset(self, indices: np.ndarray) -> "Dataset":
        """The images at `indices`, in that order."""
        chosen = torch.as_tensor(indices)

        def picked(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[i] for i in indices) if column else ()

        return Dataset(
            pixels=self.pixels[chosen],
            labels=self.labels[chosen],
            groups=picked(self.groups),
            splits=picked(self.splits),
            sha256=self.sha256,
            sites=picked(self.sites),
            sequences=picked(self.sequences),
            collections=picked(self.collections),
            masks=None if self.masks is None else self.masks[chosen],
            has_mask=None if self.has_mask is None else self.has_mask[chosen],
        )

    def split(self, name: str) -> "Dataset":
        """The images of one split; DatasetError where the file states no splits or has none of this one."""
        if not self.splits:
            raise DatasetError(f"The data set states no splits, so there is no {name!r} in it; use --split all.")
        chosen = np.flatnonzero(np.array(self.splits) == name)
        if not len(chosen):
            raise DatasetError(
                f"The data set holds no image of the split {name!r}; it has: {', '.join(sorted(set(self.splits)))}."
            )
        return self.subset(chosen)

    def limited(self, limit: int | None, seed: int) -> "Dataset":
        """At most `limit` images, drawn with `seed`; the same two numbers pick the same images."""
        if limit is None or limit >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:limit]))


def _joined_outlines(parts: Sequence[Dataset]) -> tuple[Tensor | None, Tensor | None]:
    if all(part.masks is None for part in parts):
        return None, None
    nothing = [torch.zeros(len(part), *part.pixels.shape[2:], dtype=torch.bool) for part in parts]
    masks = [none if part.masks is None else part.masks for part, none in zip(parts, nothing)]
    has_mask = [none[:, 0, 0] if part.has_mask is None else part.has_mask for part, none in zip(parts, nothing)]
    return torch.cat(masks), torch.cat(has_mask)


def load_for(bundle: Bundle | Input, path: Path | str) -> Dataset:
    """A data set as a bundle's models take it; parameters and errors as of `load_dataset`."""
    return load_dataset(path, bundle.classes, bundle.resolution, bundle.channels, bundle.codes)


def load_joined(bundle: Bundle | Input, paths: Sequence[Path], split: str | None = None) -> Dataset:
    """Several data sets as one, see `Dataset.joined`, or one split of each; errors as of `load_for`."""
    parts = (load_for(bundle, path) for path in paths)
    return Dataset.joined([part.split(split) if split else part for part in parts])


def load_dataset(
    path: Path | str, classes: tuple[str, ...], resolution: int, channels: int, codes: tuple[str, ...] = ()
) -> Dataset:
    """Read a data set.

    Parameters
    ----------
    path : path
        .npz with `image` (N, H, W) or (N, H, W, 3) uint8 and `label` (N,), optionally `group` and `split` (0 train,
        1 val, 2 test), `site`, `sequence` (N,), and `mask` (N, H, ⌈W / 8⌉) uint8, the outlined lesions with their bits
        packed along the last axis, with `has_mask` (N,); without it an image whose mask is empty has none; or .zip with
        index.csv (file, label, group, split) and the pictures it names.
    classes : tuple of str
        The bundle's; a .zip's labels are one of these names, or their index.
    resolution, channels : int
        What the bundle takes.
    codes : tuple of str
        What data sets call the classes, in the same order, where that is not their name.

    Raises
    ------
    DatasetError
        The file is missing, of neither layout, its labels aren't the bundle's, or its outlines don't fit its images.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"There is no data set at {path}.")
    try:
        frames, labels, groups, splits = _read_npz(path) if path.suffix == ".npz" else _read_zip(path, classes, codes)
        masks, has_mask = _read_masks(path, frames, resolution) if path.suffix == ".npz" else (None, None)
        sites, sequences = _read_origins(path) if path.suffix == ".npz" else ((), ())
    except DatasetError:
        raise
    except _UNREADABLE as error:
        raise DatasetError(f"{path.name} can't be read as a data set ({error}); it should be .npz or .zip.") from error
    stated = (column for column in (splits, sites, sequences) if column)
    if len({len(labels), *map(len, (frames, groups, *stated))}) > 1:
        raise DatasetError(f"The fields of {path.name} differ in length; each needs one entry an image.")
    if not len(labels) or min(labels) < 0 or max(labels) >= len(classes):
        raise DatasetError(f"The labels of {path.name} don't fit the bundle's {len(classes)} classes.")
    return Dataset(
        pixels=torch.cat([prepare(frame, resolution, channels) for frame in frames]),
        labels=torch.as_tensor(labels, dtype=torch.long),
        groups=groups,
        splits=splits,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        masks=masks,
        has_mask=has_mask,
        sites=sites,
        sequences=sequences,
        collections=(path.stem,) * len(labels),
    )


def image_digest(pixels: Tensor) -> str:
    """16 hex digits that tell one (C, H, W) image from another, at 8 bits a pixel."""
    levels = (pixels * 255).round().to(torch.uint8).cpu().numpy()
    return hashlib.sha256(levels.tobytes()).hexdigest()[:16]


def _read_npz(path: Path) -> tuple[list[np.ndarray], list[int], tuple[str, ...], tuple[str, ...]]:
    with np.load(path) as archive:
        if "image" not in archive or "label" not in archive:
            raise DatasetError(f"{path.name} holds {', '.join(archive)}; it should hold 'image' and 'label'.")
        images, labels = archive["image"], archive["label"].astype(int).ravel().tolist()
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
            shape = "×".join(map(str, images.shape))
            raise DatasetError(
                f"'image' in {path.name} is {images.dtype} {shape}; it should be uint8 N×H×W or N×H×W×3."
            )
        groups = archive["group"].tolist() if "group" in archive else range(len(labels))
        splits = archive["split"].tolist() if "split" in archive else []
    frames = [image.astype(np.float32) / 255 for image in images]
    return frames, labels, tuple(map(str, groups)), tuple(SPLITS.get(str(split), str(split)) for split in splits)


def _read_origins(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Site and sequence of each image; empty where the file doesn't say."""
    with np.load(path) as archive:
        sites, sequences = (archive[name].tolist() if name in archive else () for name in ("site", "sequence"))
    return tuple(map(str, sites)), tuple(map(str, sequences))


def _read_masks(path: Path, frames: list[np.ndarray], resolution: int) -> tuple[Tensor | None, Tensor | None]:
    """(N, R, R) and (N,) bool; None and None where the file holds no outlines."""
    with np.load(path) as archive:
        if "mask" not in archive:
            if "has_mask" in archive:
                raise DatasetError(f"{path.name} holds 'has_mask' alone; outlines need 'mask'.")
            return None, None
        packed = archive["mask"]
        has_mask = archive["has_mask"].astype(bool) if "has_mask" in archive else packed.any((1, 2))
    count, (height, width) = len(frames), frames[0].shape[:2] if frames else (0, 0)
    wanted = (count, height, -(-width // 8))
    if packed.dtype != np.uint8 or packed.shape != wanted or has_mask.shape != (count,):
        raise DatasetError(
            f"'mask' in {path.name} is {packed.dtype} {packed.shape}, 'has_mask' {has_mask.shape}; they should be "
            f"uint8 {wanted}, with the bits packed along the last axis, and ({count},)."
        )
    masks = np.unpackbits(packed, axis=-1, count=width).astype(bool)
    return torch.from_numpy(np.stack([_prepared_mask(mask, resolution) for mask in masks])), torch.from_numpy(has_mask)


def _prepared_mask(mask: np.ndarray, resolution: int) -> np.ndarray:
    """(H, W) bool → (R, R) bool, placed as `prepare` places the image, resampled to the nearest pixel."""
    rows, columns = Geometry.of(mask.shape).placed(resolution)
    square = np.zeros((resolution, resolution), dtype=bool)
    size = columns.stop - columns.start, rows.stop - rows.start
    square[rows, columns] = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return square


def _read_zip(
    path: Path, classes: tuple[str, ...], codes: tuple[str, ...]
) -> tuple[list[np.ndarray], list[int], tuple[str, ...], tuple[str, ...]]:
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), encoding="utf-8")))
        frames = [_picture(archive.read(row["file"])) for row in rows]
    splits = tuple(SPLITS.get(row["split"], row["split"]) for row in rows) if rows and "split" in rows[0] else ()
    groups = tuple(row.get("group") or str(index) for index, row in enumerate(rows))
    return frames, [_class_index(row["label"], classes, codes, path) for row in rows], groups, splits


def _picture(data: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(data))
    if picture.mode.startswith("I;16"):
        return np.asarray(picture, dtype=np.float32) / 65535
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"), dtype=np.float32) / 255


def _class_index(label: str, classes: tuple[str, ...], codes: tuple[str, ...], path: Path) -> int:
    for names in (classes, codes):
        if label in names:
            return names.index(label)
    if label.isdigit():
        return int(label)
    raise DatasetError(f"{path.name} has the label {label!r}; this bundle knows: {', '.join(classes)}.")
