"""What is timed of mixtures."""

from dataclasses import replace

import pytest

from core.evaluation import timing_explanations
from core.models.experts import resnet_mixture


@pytest.mark.slow
def test_every_mixture_is_timed_with_its_experts(bundle, monkeypatch):
    monkeypatch.setattr(timing_explanations, "REPEATS", 1)
    monkeypatch.setattr(timing_explanations, "WARM_UP", 0)
    small = resnet_mixture(1, 2, count=2, width=4, shrink=4).eval().requires_grad_(False)
    rows = timing_explanations.mixture_timings(replace(bundle, classifiers={"resnet18": small, "pair": small}))
    assert {name.split(":")[0] for name in rows} == {"resnet18", "pair"}
    assert {"pair: gate and all opinions", "pair: PGD-40", "pair: Grad-CAM, all 2 experts"} <= set(rows)
    assert all(value.endswith(" ms") for value in rows.values())
