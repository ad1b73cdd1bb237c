"""Small things that many tests need."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.bundles import Bundle, load_bundle
from core.bundles.calibration import Borderline
from core.bundles.own import VARIABLE
from core.scans import load_scan
from tests.cells import NAME, write_bundle

# What somebody has added on this machine is no part of what is tested.
os.environ[VARIABLE] = ""
SAMPLES = Path(__file__).resolve().parent.parent / "assets" / "samples"


# Files by how long they take, the longest first: of those without a browser, and of the browser's.
LONGEST = (
    *("federation/test_flower.py", "pages/test_load.py"),
    *("browser/test_axe.py", "browser/test_visit.py", "browser/test_tours.py", "browser/test_real_app.py"),
    *("browser/test_shutdown.py", "browser/test_attack.py", "browser/test_audit.py"),
    *("browser/test_viewer.py", "browser/test_comparison.py", "browser/test_purify.py", "browser/test_faults.py"),
    *("browser/test_experts.py", "browser/test_encrypt.py", "browser/test_detect.py", "browser/test_security.py"),
    "browser/test_memory.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests come last: once Playwright has started, no other test of the process can call asyncio.run.

    Of either kind the longest files first: the other process would have nothing to do beside one at the end.
    """

    def turn(item: pytest.Item) -> tuple[bool, int]:
        file = f"{item.path.parent.name}/{item.path.name}"
        return item.path.parent.name == "browser", LONGEST.index(file) if file in LONGEST else len(LONGEST)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle("brain-mri")


@pytest.fixture(scope="session")
def unsure(bundle: Bundle) -> Bundle:
    """The same with limits that take every answer for borderline."""
    limits = {name: replace(own, borderline=Borderline(1.0, 1.0)) for name, own in bundle.limits.items()}
    return replace(bundle, limits=limits)


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


@pytest.fixture(scope="session")
def two_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like weights/ with brain-mri, and a bundle that has classifiers only."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "brain-mri").symlink_to(SAMPLES.parents[1] / "weights" / "brain-mri", target_is_directory=True)
    write_bundle(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what a test adds."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def cells(two_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle that has classifiers only, installed beside brain-mri while a test runs."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", two_bundles)
    return load_bundle(NAME)
