"""What the tests of attacks share beyond `tests.attacks.tiny`."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.attacks import attackable_pixels
from core.bundles import Bundle
from core.scans import load_scan


@pytest.fixture(scope="session")
def scans(bundle: Bundle, sample_files: list[Path]) -> Tensor:
    """(2, 1, 128, 128) a sample scan of either class."""
    return torch.cat([attackable_pixels(load_scan(file), bundle) for file in (sample_files[0], sample_files[-1])])
