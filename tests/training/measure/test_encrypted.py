import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.bundles import Bundle
from core.evaluation.datasets import load_for
from core.evaluation.encrypted import FILE, read_encryption
from core.federation.configurations import CONFIGURATIONS
from tests.cells import CLASSES, cell
from training.measure import encrypted
from training.publish.encryption import encryption_page


@pytest.fixture
def data(tmp_path):
    """Three groups a class in the training split, one in the other."""
    labels = np.tile(np.arange(len(CLASSES)), 4)
    images = np.stack([np.rint(255 * cell(seed)).astype(np.uint8) for seed in range(len(labels))])
    path = tmp_path / "cells.npz"
    split = (np.arange(len(labels)) >= 3 * len(CLASSES)).astype(int)
    np.savez(path, image=images, label=labels, group=np.arange(len(labels)), split=split)
    return path


@pytest.mark.slow
def test_the_recipe_measures_and_its_record_is_read_and_tabulated(cells: Bundle, data: Path, tmp_path, monkeypatch):
    cells = replace(cells, folder=tmp_path / cells.name)
    monkeypatch.setattr(
        encrypted, "measure_timings", lambda: [{"head": "linear", "preset": "linear", "server_ms": 2.0}]
    )
    cells.folder.mkdir()
    options = argparse.Namespace(data=[data], per_site=None, seed=0, limit=None)
    encrypted.record_encryption(load_for(cells, data), cells, options)
    known = json.loads((cells.folder / FILE).read_text())["vit"]
    assert known["command"] == "python -m training.measure.encrypted --data cells.npz --bundle tiny-cells --seed 0"
    record = read_encryption(cells, "vit")
    assert record.n == 8 and list(record.configurations) == list(CONFIGURATIONS)
    assert all(found.same_clear == found.clear and found.max_error < 1e-2 for found in record.heads.values())
    plain, adding = record.configurations["federated, plain"], record.configurations["encrypted gradients"]
    assert plain == adding  # the sum is precise to 1e-6, which turns no answer here
    assert list(record.network_configurations) == list(CONFIGURATIONS)
    sizes = record.communication
    assert sizes["gradients_encrypted"] > sizes["gradients_plain"] > sizes["token_encrypted"]
    monkeypatch.setattr(encrypted, "asked", lambda *given: pytest.fail("measured again"))
    monkeypatch.setattr(encrypted, "configurations", lambda *given: pytest.fail("measured again"))
    monkeypatch.setattr(encrypted, "on_tokens", lambda *given: pytest.fail("needed by nothing"))
    encrypted.record_encryption(load_for(cells, data), cells, options)
    assert json.loads((cells.folder / FILE).read_text())["vit"] == known
    text = encryption_page([cells])
    assert "| polynomial |" in text and "encrypted token" in text and "split val, n = 8, seed 0" in text
