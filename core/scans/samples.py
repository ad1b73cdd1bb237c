"""Scans to try the program with, all of them on this disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

BRAIN = "brain-mri"
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "samples"


@dataclass(frozen=True)
class Sample:
    """A scan to try.

    Attributes
    ----------
    key : str
        Unique name, stable over releases.
    title, description : str
        For the viewer.
    origin : str
        ``'synthetic'`` for what our diffusion model drew, ``'real'`` for what scanners made.
    path : pathlib.Path
        The file, for `load_scan`.
    bundle : str
        The bundle that it is there to try: another has no use for it.
    picture : pathlib.Path or None
        A small PNG of what it shows.
    """

    key: str
    title: str
    description: str
    origin: str
    path: Path
    bundle: str = BRAIN
    picture: Path | None = None


# All of them for brain-mri, the last to be refused by it. Key, title, description, where it lies: a file below an
# installed package, or one of our own assets (assets/samples/README.md).
_REAL = (
    ("mni152", "MNI152 brain template", "The average of 152 healthy T1-weighted MR brains, as NIfTI.",
     None, "mni152.nii.gz"),
    ("mr-small", "MR slice", "A small MR slice that comes with pydicom.",
     "pydicom", "data/test_files/MR_small.dcm"),
    ("emri-small", "MR, enhanced multi-frame", "Ten MR frames in one file, from pydicom-data.",
     "data_store", "data/emri_small.dcm"),
    ("example4d", "Diffusion MR volume", "A diffusion-weighted MR brain, as 4-D NIfTI, from nibabel.",
     "nibabel", "tests/data/example4d.nii.gz"),
    ("ct-small", "CT slice", "A small CT slice in Hounsfield units, from pydicom: to be refused.",
     "pydicom", "data/test_files/CT_small.dcm"),
    ("liver", "Segmentation, multi-frame", "A binary segmentation in frames, from pydicom-data: to be refused.",
     "data_store", "data/liver.dcm"),
)  # fmt: skip
_TEXTS = ("samples.json", "real.json")  # by training.recipes.samples and training.publish.real_samples
_PICTURES = "pictures"


def sample_scans(bundle: str | None = None) -> tuple[Sample, ...]:
    """Return the samples on this disk, real ones first, or those for one bundle; nothing is ever downloaded."""
    ours = _ours()
    drawn = [sample for sample in ours if sample.origin == "synthetic"]
    real = [sample for sample in ours if sample.origin == "real"] + _installed()
    return tuple(sample for sample in (*real, *drawn) if bundle in (None, sample.bundle))


def sample_folder(bundle: str) -> Path:
    """Return where the samples lie that come with a bundle: in a folder of its name, those of brain-mri above it."""
    return _ASSETS if bundle == BRAIN else _ASSETS / bundle


def _ours() -> list[Sample]:
    folders = (path for path in _ASSETS.iterdir() if path.is_dir() and path.name != _PICTURES)
    return [sample for folder in (_ASSETS, *sorted(folders)) for sample in _samples_in(folder)]


def _samples_in(folder: Path) -> list[Sample]:
    texts = {name: text for file in _TEXTS for name, text in _texts(folder / file).items() if isinstance(text, dict)}
    home = BRAIN if folder == _ASSETS else folder.name
    samples = []
    for path in sorted(path for path in folder.glob("*.*") if path.suffix in (".dcm", ".png")):
        text = texts.get(path.name, {})
        title = str(text.get("title", path.stem.replace("-", " ").replace("_", " ").capitalize()))
        about, bundle = str(text.get("description", "")), str(text.get("bundle", home))
        origin = "real" if text.get("origin") == "real" else "synthetic"
        samples.append(Sample(path.stem, title, about, origin, path, bundle, _picture(path.stem)))
    return samples


def _texts(file: Path) -> dict[str, object]:
    try:
        texts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return texts if isinstance(texts, dict) else {}


def _installed() -> list[Sample]:
    samples = []
    for key, title, description, package, file in _REAL:
        folder = _folder(package) if package else _ASSETS
        path = folder / file if folder else None
        if path is not None and path.is_file():
            samples.append(Sample(key, title, description, "real", path, picture=_picture(key)))
    return samples


def _picture(key: str) -> Path | None:
    path = _ASSETS / _PICTURES / f"{key}.png"
    return path if path.is_file() else None


@cache
def _folder(package: str) -> Path | None:
    """Return where a package lies; finding it does not import it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
