"""Small things that many tests need."""

from pathlib import Path

import numpy as np
import pytest

from core.bundles import Bundle, load_bundle
from core.scans import load_scan

SAMPLES = Path(__file__).resolve().parent.parent / "assets" / "samples"


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle("brain-mri")


@pytest.fixture(scope="session")
def sample_files() -> list[Path]:
    return sorted(SAMPLES.glob("*.dcm"))


@pytest.fixture(scope="session")
def sample_set(tmp_path_factory: pytest.TempPathFactory, sample_files: list[Path], bundle: Bundle) -> Path:
    """The synthetic samples as a data set of the .npz layout, each in a group of its own."""
    frames = [np.round(load_scan(file).frame() * 255).astype(np.uint8) for file in sample_files]
    labels = [int(file.name.startswith("tumour")) for file in sample_files]
    path = tmp_path_factory.mktemp("data") / "samples.npz"
    np.savez(path, image=np.stack(frames), label=labels, group=np.arange(len(labels)), split=np.ones(len(labels), int))
    return path
