"""What is timed of mixtures."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from core.evaluation import timing_explanations
from core.models.experts import resnet_mixture
from core.scans import load_scan, sample_scans


def test_mixtures_are_timed_on_a_synthetic_sample_as_the_defence_is(monkeypatch):
    opened = []
    monkeypatch.setattr(timing_explanations, "load_scan", lambda path: opened.append(path) or load_scan(path))
    none = SimpleNamespace(name="brain-mri", classifiers={}, resolution=32, channels=1)
    assert sample_scans("brain-mri")[0].origin == "real" and timing_explanations.mixture_timings(none) == {}
    assert opened == [next(sample.path for sample in sample_scans("brain-mri") if sample.origin == "synthetic")]


@pytest.mark.slow
def test_every_mixture_is_timed_with_its_experts(bundle, monkeypatch):
    monkeypatch.setattr(timing_explanations, "REPEATS", 1)
    monkeypatch.setattr(timing_explanations, "WARM_UP", 0)
    small = resnet_mixture(1, 2, count=2, width=4, shrink=4).eval().requires_grad_(False)
    rows = timing_explanations.mixture_timings(replace(bundle, classifiers={"resnet18": small, "pair": small}))
    assert {name.split(":")[0] for name in rows} == {"resnet18", "pair"}
    assert {"pair: gate and all opinions", "pair: PGD-40", "pair: Grad-CAM, all 2 experts"} <= set(rows)
    assert all(value.endswith(" ms") for value in rows.values())
