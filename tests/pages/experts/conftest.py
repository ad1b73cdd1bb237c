"""The Experts page, with small networks."""

import dataclasses
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

import core
from core import Bundle, load_bundle
from pages.shared.runtime import bundle as cached_bundle
from tests.pages.experts.helpers import (
    EXPERTS,
    SCAN,
    Choose,
    small_mixture,
)
from tests.reading import opened


@pytest.fixture(scope="module")
def mixed() -> Bundle:
    """The bundle with two such mixtures: one with thresholds, one without."""
    plain, network = load_bundle(), small_mixture()
    entry = {"file": "small.safetensors", "experts": EXPERTS}
    own = ("resnet18", "robust")  # the second answers in the first one's place on flagged scans
    facts = plain.facts | {"classifiers": {name: plain.facts["classifiers"][name] for name in own}}
    facts["classifiers"] |= {"medfedpure": entry, "dwf": entry}
    limits = {"resnet18": plain.limits["resnet18"], "medfedpure": plain.limits["resnet18"]}
    calibrations = dict(plain.calibrations) | {"medfedpure": plain.calibrations["resnet18"]}
    classifiers = {name: plain.classifiers[name] for name in own} | {"medfedpure": network, "dwf": network}
    made = {"classifiers": classifiers, "facts": facts, "limits": limits, "calibrations": calibrations}
    return dataclasses.replace(plain, **made, hashes=dict(plain.hashes) | {"small.safetensors": "abc"})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, mixed: Bundle, tmp_path) -> Iterator[Bundle]:
    """The app with that bundle, and with no gates recorded."""
    alone = dataclasses.replace(mixed, folder=tmp_path / mixed.name)
    alone.folder.mkdir()
    monkeypatch.setattr(core, "load_bundle", lambda name: alone)
    cached_bundle.clear()
    yield alone
    cached_bundle.clear()


@pytest.fixture
def page(served: Bundle, app: AppTest, choose: Choose) -> AppTest:
    """The Experts page with a sample."""
    choose(app, SCAN.key)
    return opened(app, "experts")
