"""What calibration scans tell of an answer, on records small enough to count."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from core.evaluation.reliability import left_out, reliability
from tests.defended import invented_calibration


def record(count=80, wrong=8, certainty=0.99):
    """Two sequences; the last of each class are wrong."""
    one = invented_calibration(count)
    labels = [place % 2 for place in range(count)]
    answers = [label if place < count - wrong else 1 - label for place, label in enumerate(labels)]
    clean = replace(one.conditions["clean"], undefended=answers, certainty=[certainty] * count)
    sequences = ["T1c" if place < count // 2 else "FLAIR" for place in range(count)]
    return replace(one, labels=labels, conditions={**one.conditions, "clean": clean}, sequences=sequences)


def test_a_probability_is_what_so_sure_answers_are_right():
    """All are 99 % sure and 90 % are right: so should the temperature make it."""
    known = reliability(record())
    assert known.calibrated(0.99) == pytest.approx(0.9, abs=1e-3) and known.calibrated(0.5) == 0.5
    assert reliability(record(wrong=0)).temperature == pytest.approx(1, abs=1e-3)  # never surer than the classifier


def test_rates_are_told_by_sequence_where_there_are_enough_scans():
    known = reliability(record())
    assert set(known.rates) == {"T1 with contrast", "FLAIR"}
    flair = known.rates["FLAIR"]
    assert (flair.sensitivity.value, flair.sensitivity.n) == (0.8, 20) and flair.specificity.value == 0.8
    assert known.rates["T1 with contrast"].sensitivity.value == 1
    assert reliability(record(40, 4)).rates["FLAIR"] == (None, None)
    assert reliability(invented_calibration()).rates == {}


def test_how_far_a_scan_lies_among_the_calibration_scans():
    known = reliability(record())
    assert known.farther_than(-1) == 0 and known.farther_than(2) == 1
    assert known.farther_than(float(np.median(known.scope))) == pytest.approx(0.5, abs=0.02)


def test_a_score_that_tells_no_attack_is_blind():
    blind = reliability(record()).blind
    assert "mae_error" in blind and "amv" not in blind


def test_what_is_reached_at_sites_that_were_left_out(tmp_path):
    bundle = SimpleNamespace(folder=tmp_path)
    assert left_out(bundle) is None
    sites = {name: {"all": {"accuracy": share}} for name, share in (("a", 0.7), ("b", 0.5), ("c", 0.6))}
    (tmp_path / "results.json").write_text(json.dumps({"left_out": {"sites": sites}}), encoding="utf-8")
    assert left_out(bundle) == (3, 0.5, 0.7)
