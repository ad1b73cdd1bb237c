"""The Faults page, with small networks."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import core
from core import Bundle, load_bundle
from pages.shared.runtime import bundle as cached_bundle
from tests.pages.faults.helpers import (
    SCAN,
    Choose,
    small_network,
)
from tests.reading import opened


@pytest.fixture(scope="module")
def models() -> Bundle:
    """The bundle with a second classifier, which has no thresholds."""
    full = load_bundle()
    entry = {"file": "plain.safetensors", "architecture": "half-resnet18"}
    facts = full.facts | {"classifiers": {"resnet18": full.facts["classifiers"]["resnet18"], "plain": entry}}
    classifiers = {"resnet18": full.classifiers["resnet18"], "plain": small_network()}
    limits = {"resnet18": full.limits["resnet18"]}
    hashes = dict(full.hashes) | {"plain.safetensors": "abc"}
    return dataclasses.replace(full, facts=facts, classifiers=classifiers, limits=limits, hashes=hashes)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, models: Bundle, tmp_path: Path) -> Iterator[Bundle]:
    """The app with that bundle, and with nothing recorded."""
    alone = dataclasses.replace(models, folder=tmp_path / models.name)
    monkeypatch.setattr(core, "load_bundle", lambda name: alone)
    cached_bundle.clear()
    yield alone
    cached_bundle.clear()


@pytest.fixture
def page(served: Bundle, app: AppTest, choose: Choose) -> AppTest:
    """The Faults page with a sample."""
    choose(app, SCAN.key)
    return opened(app, "faults")
