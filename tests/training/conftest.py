"""What the tests of the recipes share."""

import sys

import numpy as np
import pytest


@pytest.fixture
def data(tmp_path):
    """Six random scans, four to train on."""
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "tiny.npz",
        image=random.integers(0, 255, (6, 128, 128), dtype=np.uint8),
        label=np.array([0, 1] * 3),
        group=np.arange(6),
        split=np.array([0, 0, 0, 0, 1, 1]),
    )
    return tmp_path / "tiny.npz"


@pytest.fixture
def collections(tmp_path):
    """Two collections of random scans: sites A and B, both classes, under two sequences; and one of tumours alone."""
    random = np.random.default_rng(0)
    places = np.arange(16)
    fields = {
        "image": random.integers(0, 255, (16, 128, 128), dtype=np.uint8),
        "label": places % 2,
        "group": places // 2,
        "split": (places % 8 > 3).astype(int),
    }
    sites = {"site": np.array(["A", "B"]).repeat(8), "sequence": np.array(["T1", "FLAIR"] * 8)}
    np.savez(tmp_path / "both.npz", **fields, **sites)
    np.savez(tmp_path / "tumours.npz", **fields | {"label": np.ones(16, dtype=int)})
    return [tmp_path / "both.npz", tmp_path / "tumours.npz"]


@pytest.fixture
def run(monkeypatch):
    """Runs a recipe as its command would."""

    def command(module, *words):
        monkeypatch.setattr(sys, "argv", [f"{module.__name__.replace('.', '/')}.py", *map(str, words)])
        module.main()

    return command
