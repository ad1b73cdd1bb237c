"""Scans to try the program with, all of them on this disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    """

    key: str
    title: str
    description: str
    origin: str
    path: Path
    bundle: str = BRAIN


# All of them for brain-mri, some to be refused by it. Key, title, description, where it lies: a file below an installed
# package, or one of our own assets (assets/samples/README.md).
_REAL = (
    ("mr-small", "MR slice", "A small MR slice that comes with pydicom.",
     "pydicom", "data/test_files/MR_small.dcm"),
    ("ct-small", "CT slice", "A small CT slice in Hounsfield units that comes with pydicom.",
     "pydicom", "data/test_files/CT_small.dcm"),
    ("emri-small", "MR, enhanced multi-frame", "Ten MR frames in one file, from pydicom-data.",
     "data_store", "data/emri_small.dcm"),
    ("liver", "Segmentation, multi-frame", "A binary segmentation in frames, from pydicom-data.",
     "data_store", "data/liver.dcm"),
    ("mni152", "MNI152 brain template", "The average of 152 T1-weighted MR brains, as NIfTI.",
     None, "mni152.nii.gz"),
    ("example4d", "Diffusion MR volume", "A diffusion-weighted MR brain, as 4-D NIfTI, from nibabel.",
     "nibabel", "tests/data/example4d.nii.gz"),
)  # fmt: skip


def sample_scans(bundle: str | None = None) -> tuple[Sample, ...]:
    """Return the samples that are on this disk, ours first, or those for one bundle; nothing is ever downloaded."""
    return tuple(sample for sample in (*_synthetic(), *_real()) if bundle in (None, sample.bundle))


def _synthetic() -> list[Sample]:
    texts = _texts()
    samples = []
    for path in sorted(_ASSETS.glob("*.dcm")):
        text = texts.get(path.name, {})
        text = text if isinstance(text, dict) else {}
        title = str(text.get("title", path.stem.replace("-", " ").replace("_", " ").capitalize()))
        about, bundle = str(text.get("description", "")), str(text.get("bundle", BRAIN))
        samples.append(Sample(path.stem, title, about, "synthetic", path, bundle))
    return samples


def _texts() -> dict[str, object]:
    try:
        texts = json.loads((_ASSETS / "samples.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return texts if isinstance(texts, dict) else {}


def _real() -> list[Sample]:
    samples = []
    for key, title, description, package, file in _REAL:
        folder = _folder(package) if package else _ASSETS
        path = folder / file if folder else None
        if path is not None and path.is_file():
            samples.append(Sample(key, title, description, "real", path))
    return samples


def _folder(package: str) -> Path | None:
    """Return where a package lies; finding it does not import it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
